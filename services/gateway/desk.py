"""Where asks are handed in: published once, with who asks, and answered by the fact that answers them."""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Request

from bus.channel import Position
from bus.client import Bus
from bus.record import Ask, derive_id
from services.gateway.caller import Caller, Calling
from services.gateway.rejection import Rejected
from services.gateway.views.answers import KeptAsk
from services.gateway.views.reading import Reading

ANSWER_S_MAX = 10.0
"""How long a call waits for the fact that answers its ask."""

WAIT_S_MAX = 60.0
"""Longest `Prefer: wait`."""

AnyAsk = TypeVar("AnyAsk", bound=Ask)

_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,9})\"?\s*(?:$|[,;])", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What a call that writes says beside its body."""

    caller: Caller
    record_id: str
    mark: str  # key of idempotency and digest of the call; empty without such a key
    wait_s: float | None  # as preferred


async def writing_of(
    request: Request,
    caller: Calling,
    idempotency_key: Annotated[
        str, Header(max_length=200, description="The same key with the same call gives the same answer.")
    ] = "",
    prefer: Annotated[str, Header(max_length=200, description="`wait=N`: wait up to N seconds for the end.")] = "",
) -> Writing:
    """Read the headers; the id of the ask depends on the caller and the key of idempotency alone."""
    wait = _WAIT.search(prefer)
    wait_s = min(float(wait[1]), WAIT_S_MAX) if wait else None
    if not idempotency_key:
        return Writing(caller=caller, record_id=uuid.uuid4().hex, mark="", wait_s=wait_s)
    called = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    called.update(await request.body())
    record_id = f"http-{derive_id('http', caller.key_id, caller.name, idempotency_key)}"
    mark = f"{idempotency_key}#{called.hexdigest()[:32]}"
    return Writing(caller=caller, record_id=record_id, mark=mark, wait_s=wait_s)


Asking = Annotated[Writing, Depends(writing_of)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An ask, where it stands, and what it led to so far."""

    position: Position
    kept: KeptAsk

    @property
    def id(self) -> str:
        """Of the aggregate that the answer names; empty while there is no answer."""
        return self.kept.answer_id

    @property
    def shown_at(self) -> Position:
        """What a read has to wait for to show this."""
        return self.kept.answer_at or self.position


def sign(ask: AnyAsk, caller: Caller, workspace: str) -> AnyAsk:
    """The ask with who asks it, and with what that person or program may do there."""
    scopes = tuple(sorted(caller.scopes))
    said = {"actor": caller.name, "actor_roles": caller.roles_in(workspace), "actor_scopes": scopes}
    return ask.model_copy(update=said)


class Desk:
    """Publishes asks for callers."""

    def __init__(self, bus: Bus, reading: Reading) -> None:
        self._bus, self._reading = bus, reading

    async def ask(self, ask: Ask, writing: Writing, workspace: str, channel: str = "") -> Answered:
        """Publish and wait for the answer, on the channel of the ask unless another is named; raises Rejected when it
        is a refusal, when the key of idempotency was used for another call, or when nobody answers in time."""
        answered = await self.hand_in(ask, writing, workspace)
        kept = answered.kept
        if not await self._reading.until(channel or ask.channel, lambda: bool(kept.answer), ANSWER_S_MAX):
            raise Rejected(
                504,
                f"nobody has answered within {ANSWER_S_MAX:g} s; the ask stands at {answered.position}",
                position=str(answered.position),
            )
        if kept.is_refused:
            raise Rejected(409, kept.reason or f"{kept.answer} without a reason", position=str(answered.shown_at))
        return answered

    async def hand_in(self, ask: Ask, writing: Writing, workspace: str) -> Answered:
        """Publish, unless the same call was published before, and wait until the views show it."""
        asks = self._reading.answers.asks
        if writing.record_id not in asks:
            signed = sign(ask, writing.caller, workspace).model_copy(update={"idempotency_key": writing.mark})
            at = await self._bus.publish(signed, record_id=writing.record_id)
            await self._reading.passed([at])
        kept = asks[writing.record_id]
        if kept.idempotency_key != writing.mark:
            raise Rejected(422, "this Idempotency-Key was used for another call")
        return Answered(position=kept.at, kept=kept)
