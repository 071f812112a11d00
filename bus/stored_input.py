"""The inputs of a role as a stored log holds them: what it would hear of each channel, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bus.channel import Partition, Position
from bus.codec import Codec, Peek
from bus.decider import Role
from bus.errors import Undecodable, UnknownRecordType
from bus.feed import CHUNK_RECORDS_MAX
from bus.ledger import Ledger, Peer
from bus.log import Log, Reader, Stored
from bus.reader import START, Admission, Place
from bus.record import Envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A record that a role hears, decoded; or one that it must set aside, with the reason."""

    at: Position
    stored: Stored
    envelope: Envelope | None = None
    error: Exception | None = None
    halts: bool = False  # a fact of another role that cannot be read stops whoever hears it


class StoredInput:
    """What a role hears of one channel from a place on, posts in the order of their numbers."""

    def __init__(
        self,
        log: Log,
        codec: Codec,
        role: Role[Any],
        partition: Partition,
        *,
        homes: Mapping[str, str],
        place: Place,
        decided: int,
        received: dict[Peer, int],
        end: int,
    ) -> None:
        self.end = end
        self._log, self._codec, self._partition, self._received = log, codec, partition, received
        self._wanted, self._homes = role.heard_on(partition.channel), homes
        self._quarantines = partition.channel in role.quarantines
        self._admission, self._decided = Admission(codec, place), decided
        self._reader: Reader | None = None
        self._ahead: deque[Input] = deque()

    async def take(self, end: int) -> list[Input]:
        """The inputs before this offset that were not taken yet; none behind the end of the partition."""
        while self._admission.offset < min(end, self.end):
            self._ahead.extend(self._hear(await self._read()))
        taken = []
        while self._ahead and self._ahead[0].at.offset < end:
            taken.append(self._ahead.popleft())
        return taken

    async def _read(self) -> Sequence[Stored]:
        if self._reader is None:
            self._reader = await self._log.reader({self._partition: self._admission.offset})
        chunk = (await self._reader.read(records_max=CHUNK_RECORDS_MAX)).get(self._partition, ())
        return [stored for stored in chunk if stored.offset < self.end]

    async def close(self) -> None:
        if self._reader is not None:
            await self._reader.close()

    def _hear(self, chunk: Sequence[Stored]) -> Iterator[Input]:
        for stored, peek, counts in self._admission.admit(chunk):
            found = self._judge(stored, peek) if counts or isinstance(peek, Undecodable) else None
            if found is not None and stored.offset > self._decided:
                yield found

    def _judge(self, stored: Stored, peek: Peek | Undecodable) -> Input | None:
        """As a feed does it with what counts."""
        if isinstance(peek, Undecodable):
            return self._set_aside(stored, peek)
        kind = peek.origin.kind
        is_wanted = (f"post:{peek.type}" if kind == "post" else peek.type) in self._wanted
        is_vouched = kind == "fact" or kind == "claim"
        if not is_wanted and (is_vouched or not self._quarantines):
            return None
        try:
            envelope = self._codec.decode(stored, peek, self._partition)
        except (Undecodable, UnknownRecordType) as error:
            if is_vouched:
                return Input(at=self._at(stored), stored=stored, error=error, halts=True)
            return self._set_aside(stored, error)
        return self._hand_out(stored, envelope) if is_wanted else None

    def _hand_out(self, stored: Stored, envelope: Envelope) -> Input | None:
        """Posts count in the order of their numbers; one of nobody cannot be decided."""
        if envelope.origin.kind == "post":
            home = Position.parse(envelope.origin.cause)
            is_home = self._homes.get(envelope.origin.role) == home.channel
            if not is_home or not 0 <= home.number < self._log.partitions:
                error = ValueError(f"role {envelope.origin.role!r} has no home at {home}")
                return Input(at=self._at(stored), stored=stored, envelope=envelope, error=error)
            sender = envelope.origin.role, home.number
            if envelope.origin.seq != self._received.get(sender, 0):
                return None
            self._received[sender] = envelope.origin.seq + 1
        return Input(at=self._at(stored), stored=stored, envelope=envelope)

    def _at(self, stored: Stored) -> Position:
        return Position(*self._partition, stored.offset)

    def _set_aside(self, stored: Stored, error: Exception) -> Input | None:
        return Input(at=self._at(stored), stored=stored, error=error) if self._quarantines else None


async def open_inputs(
    log: Log, codec: Codec, role: Role[Any], number: int, *, ledger: Ledger, homes: Mapping[str, str]
) -> Mapping[str, StoredInput]:
    """All inputs of a role on one partition number by channel, from where its ledger says to where they end now."""
    partitions = [Partition(channel, number) for channel in role.inputs]
    ends, received = await log.ends(partitions), dict(ledger.received)
    return {
        partition.channel: StoredInput(
            log,
            codec,
            role,
            partition,
            homes=homes,
            place=ledger.inputs.get(partition.channel, START),
            decided=ledger.last.get(partition.channel, -1),
            received=received,
            end=ends[partition],
        )
        for partition in partitions
    }
