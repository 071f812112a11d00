"""Asking for something and waiting for the fact that answers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection

from bus.client import Bus
from bus.record import Ask, Envelope, Record
from services.cli.failure import Failed

ANSWER_S_MAX = 60.0
"""How long an answer is waited for unless a command says otherwise."""


async def ask(
    bus: Bus,
    request: Ask,
    answers: Collection[type[Record]],
    *,
    key: str,
    wait_s: float = ANSWER_S_MAX,
    channel: str = "",
) -> Envelope:
    """Publish, and give the first record of these types that names the ask or was caused by it.

    The answer stands on the channel of the ask unless another is named. Raises Failed when none comes in time.
    """
    ask_id = uuid.uuid4().hex
    at = str(await bus.publish(request, record_id=ask_id))

    def is_answer(envelope: Envelope) -> bool:
        return ask_id == getattr(envelope.record, "ask_id", "") or at == envelope.origin.cause

    return await wait_for(bus, channel or request.channel, answers, is_answer, key=key, wait_s=wait_s)


async def obtain(
    bus: Bus,
    request: Ask,
    answers: Collection[type[Record]],
    refusals: tuple[type[Record], ...],
    *,
    key: str,
    words: str = "",
    channel: str = "",
) -> Envelope:
    """As `ask`, and raises Failed with the reason of a refusal, after these words where there are any."""
    answer = await ask(bus, request, (*answers, *refusals), key=key, channel=channel)
    if isinstance(answer.record, refusals):
        raise Failed(f"{words}: {answer.record.reason}" if words else answer.record.reason)  # type: ignore[attr-defined]
    return answer


async def wait_for(
    bus: Bus,
    channel: str,
    kinds: Collection[type[Record]],
    is_it: Callable[[Envelope], bool],
    *,
    key: str,
    wait_s: float = ANSWER_S_MAX,
) -> Envelope:
    """The first record of these types that is it; raises Failed when none comes in time."""
    try:
        async with asyncio.timeout(wait_s):
            async for envelope in bus.subscribe(channel, kinds, key=key):
                if is_it(envelope):
                    return envelope
    except TimeoutError as error:
        names = " or ".join(sorted(kind.__name__ for kind in kinds))
        raise Failed(f"no answer ({names}) within {wait_s:g} s: does everything run? `clawx doctor` tells") from error
    raise Failed("the log ended before the answer")
