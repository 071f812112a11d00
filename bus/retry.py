"""What was set aside: looked up, and published again once what was wrong is mended."""

from __future__ import annotations

from bus.channel import STATE_CHANNELS, Partition, Position
from bus.clock import Clock
from bus.codec import Codec
from bus.errors import Refused, Undecodable, UnknownRecordType
from bus.log import Log, Raw, Stored
from bus.publisher import Publisher
from bus.reader import START, FencedReader
from bus.record import Envelope, InputQuarantined

RETRIED = "clawx_retry"
"""Header of a record that was published again: the position of the one that was set aside."""


async def read_record(log: Log, at: Position) -> Stored:
    """The record at a position, as bytes; raises Refused where none stands."""
    partition = Partition(at.channel, at.number)
    if at.channel not in STATE_CHANNELS or not 0 <= at.number < log.partitions:
        raise Refused(f"there is no partition {partition}; the state channels have {log.partitions} each, from 0 on")
    first, end = (await log.starts([partition]))[partition], (await log.ends([partition]))[partition]
    if not first <= at.offset < end:
        raise Refused(f"nothing stands at {at}; {partition} has the offsets from {first} up to {end}")
    reader = await log.reader({partition: at.offset})
    try:
        while True:
            for stored in (await reader.read(records_max=1)).get(partition, ()):
                if stored.offset == at.offset:
                    return stored
                raise Refused(f"{at} is a mark of the broker's own, no record")
    finally:
        await reader.close()


async def quarantines_of(log: Log, codec: Codec, at: Position) -> list[Envelope]:
    """Who has set aside the record at a position; each role writes at home, under the same partition number."""
    found: list[Envelope] = []
    for channel in STATE_CHANNELS:
        home = Partition(channel, at.number)
        end = (await log.ends([home]))[home]
        reader = await FencedReader.open(log, codec, {home: START}, [InputQuarantined])
        try:
            while reader.places()[home].offset < end:
                found += [each for each in await reader.read() if each.record.input == str(at)]
        finally:
            await reader.close()
    return found


async def retry(log: Log, codec: Codec, publisher: Publisher, clock: Clock, at: Position) -> Position:
    """Append the same key, bytes and headers to the same partition, once; gives where they stand now.

    Only asks and reports that somebody has set aside, and that can be decoded now. The id is the same, so that whoever
    did decide it the first time does not do so again. Raises Refused with the reason.
    """
    raw = _again(codec, await read_record(log, at), at, clock.now_ms())
    if not await quarantines_of(log, codec, at):
        raise Refused(f"nobody has set {at} aside")
    if before := await _retried(log, at):
        raise Refused(f"{at} was published again before: it stands at {before}")
    partition = Partition(at.channel, at.number)
    return Position(*partition, await publisher.append(partition, [raw]))


def _again(codec: Codec, stored: Stored, at: Position, now_ms: int) -> Raw:
    headers = tuple(each for each in stored.headers if each[0] != RETRIED)
    raw = Raw(stored.key, stored.value, (*headers, (RETRIED, str(at).encode())), now_ms)
    try:
        peek = codec.peek(stored)
        codec.decode(stored._replace(time_ms=now_ms), peek, Partition(at.channel, at.number))
    except (Undecodable, UnknownRecordType) as error:
        raise Refused(f"{at} still cannot be decoded: {error}") from error
    if peek.origin.kind not in ("ask", "report"):
        raise Refused(f"{at} is a {peek.origin.kind}, which only its own role can say again")
    return raw


async def _retried(log: Log, at: Position) -> Position | None:
    """Where a record was published again, if it was; that can only be behind it."""
    partition, mark = Partition(at.channel, at.number), str(at).encode()
    end, offset = (await log.ends([partition]))[partition], at.offset + 1
    reader = await log.reader({partition: offset})
    try:
        while offset < end:
            for stored in (await reader.read()).get(partition, ()):
                offset = stored.offset + 1
                if stored.headers and (RETRIED, mark) == tuple(stored.headers[-1]):
                    return Position(*partition, stored.offset)
    finally:
        await reader.close()
    return None
