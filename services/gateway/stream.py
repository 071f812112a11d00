"""Records as lines of JSON for as long as somebody reads them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from bus.channel import Partition, Position
from bus.errors import BusError, Refused
from bus.record import Envelope
from services.wire import envelope_to_json, error_to_problem

BLANK_LINE_S = 10.0
"""After so long without a record a blank line says that the stream lives."""


def read_after(text: str) -> Mapping[Partition, int]:
    """The last offsets seen, by partition, of `CHANNEL/NUMBER/OFFSET,…`; raises Refused."""
    try:
        positions = [Position.parse(part) for part in text.split(",") if part]
    except ValueError as error:
        raise Refused(f"after={text!r} must be positions such as task/3/17, with commas between them") from error
    return {Partition(each.channel, each.number): each.offset for each in positions}


async def stream(
    envelopes: AsyncIterator[Envelope], after: Mapping[Partition, int], closing: asyncio.Event
) -> AsyncIterator[str]:
    """Lines behind the positions in `after`, until the records end, the gateway closes, or reading fails.

    Reading begins at the start of the partitions even so: only there the fences are known.
    """
    closed = asyncio.ensure_future(closing.wait())
    pending: asyncio.Future[Any] = asyncio.ensure_future(anext(envelopes, None))
    try:
        while True:
            await asyncio.wait({pending, closed}, timeout=BLANK_LINE_S, return_when=asyncio.FIRST_COMPLETED)
            if not pending.done():
                if closed.done():
                    return
                yield "\n"
                continue
            if (envelope := pending.result()) is None:
                return
            pending = asyncio.ensure_future(anext(envelopes, None))
            if envelope.at is not None and envelope.at.offset > after.get(Partition(*envelope.at[:2]), -1):
                yield envelope_to_json(envelope) + "\n"
    except BusError as error:
        yield json.dumps({"problem": error_to_problem(error, 503)}) + "\n"
    finally:
        for task in (pending, closed):
            task.cancel()
        await asyncio.gather(pending, closed, return_exceptions=True)
