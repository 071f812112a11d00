"""Posts as a stored log holds them, held against the facts at home that they carry."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

from bus.channel import Partition, Position, partition_number
from bus.codec import Codec, Peek
from bus.decider import Role
from bus.difference import POST, Difference
from bus.errors import Undecodable, UnknownRecordType
from bus.home_fold import chunks_until
from bus.ledger import Peer
from bus.log import Log, Stored
from bus.reader import Admission
from bus.record import Posted


class Due(NamedTuple):
    """A post that a fact at home leads to: what it must be."""

    offset: int  # of the fact at home
    id: str
    body: bytes  # digest of key, trace and value
    time_ms: int


class PostBook:
    """All posts that a role owes from one home partition, by addressee, in the order of their numbers."""

    def __init__(self, log: Log, codec: Codec, role: str, home: Partition) -> None:
        self._log, self._codec, self._role, self._home = log, codec, role, home
        self._posted = {name: kind for name, kind in codec.types.items() if issubclass(kind, Posted)}
        self.due: dict[Peer, list[Due]] = {}

    async def read(self) -> None:
        """Number every posted fact that counts, as the runtime does. Raises Undecodable and UnknownRecordType."""
        admission, end = Admission(self._codec), (await self._log.ends([self._home]))[self._home]
        async for chunk in chunks_until(self._log, self._home, 0, end):
            for stored, peek, counts in admission.admit(chunk):
                if counts and isinstance(peek, Peek) and self._is_posted(peek):
                    self._note(stored, peek)

    def _is_posted(self, peek: Peek) -> bool:
        return peek.origin.role == self._role and peek.origin.kind == "fact" and peek.type in self._posted

    def _note(self, stored: Stored, peek: Peek) -> None:
        fact: Posted = self._codec.decode(stored, peek, self._home).record
        key = fact.address()
        peer = fact.addressee, partition_number(key, self._log.partitions)
        due = Due(stored.offset, peek.id, _body(key.encode(), peek.trace, stored.value), stored.time_ms)
        self.due.setdefault(peer, []).append(due)


def _body(key: bytes, trace: str, value: bytes) -> bytes:
    return hashlib.blake2b(b"%d|%b|%b|%b" % (len(key), key, trace.encode(), value), digest_size=16).digest()


class StoredPosts:
    """Checks what was posted to roles; a book of each sender is read once."""

    def __init__(self, log: Log, codec: Codec, homes: Mapping[str, str]) -> None:
        self._log, self._codec, self._homes = log, codec, homes
        self._books: dict[tuple[str, Partition], PostBook] = {}

    async def check(self, addressee: Role[Any], number: int) -> AsyncIterator[Difference]:
        """The posts to a role on one partition number that are not what the facts behind them say."""
        wanted = {kind.__name__ for kind in addressee.hears if issubclass(kind, Posted)}
        partition, peer = Partition(addressee.home, number), (addressee.name, number)
        admission, next_numbers = Admission(self._codec), dict[tuple[str, Partition], int]()
        end = (await self._log.ends([partition]))[partition]
        async for chunk in chunks_until(self._log, partition, 0, end) if wanted else _nothing():
            for stored, peek, _ in admission.admit(chunk):
                if not isinstance(peek, Peek) or peek.origin.kind != "post" or peek.type not in wanted:
                    continue
                sender, expected = self._sender(peek), 0
                if sender is not None:
                    expected = next_numbers.get(sender, 0)
                    next_numbers[sender] = max(expected, peek.origin.seq + 1)
                if peek.origin.seq >= expected and (reason := await self._find_fault(stored, peek, sender, peer)):
                    yield self._differ(peek, Position(*partition, stored.offset), stored.time_ms, reason)

    def _sender(self, peek: Peek) -> tuple[str, Partition] | None:
        try:
            at = Position.parse(peek.origin.cause)
        except ValueError:
            return None
        is_home = self._homes.get(peek.origin.role) == at.channel and 0 <= at.number < self._log.partitions
        return (peek.origin.role, Partition(at.channel, at.number)) if is_home else None

    async def _find_fault(self, stored: Stored, peek: Peek, sender: tuple[str, Partition] | None, peer: Peer) -> str:
        if sender is None:
            return f"it names {peek.origin.cause!r} of {peek.origin.role!r}, which is no home of a role"
        try:
            book = await self._book(*sender)
        except (Undecodable, UnknownRecordType) as error:
            return f"the facts of {peek.origin.role} cannot be read: {error}"
        owed, number = book.due.get(peer, []), peek.origin.seq
        if number >= len(owed):
            return f"it has number {number}, and only {len(owed)} facts of {sender[1]} are addressed here"
        due, at = owed[number], Position.parse(peek.origin.cause)
        if (due.offset, due.id) != (at.offset, peek.id):
            return f"number {number} would be {due.id} of {sender[1]}/{due.offset}, not {peek.id} of {at}"
        if due.body != _body(stored.key, peek.trace, stored.value):
            return f"its key, trace or content is not that of the fact at {at}"
        return ""

    async def _book(self, role: str, home: Partition) -> PostBook:
        if (role, home) not in self._books:
            book = PostBook(self._log, self._codec, role, home)
            await book.read()
            self._books[role, home] = book
        return self._books[role, home]

    @staticmethod
    def _differ(peek: Peek, at: Position, time_ms: int, reason: str) -> Difference:
        return Difference(
            kind=POST,
            role=peek.origin.role,
            home=Partition(at.channel, at.number),
            offset=at.offset,
            time_ms=time_ms,
            cause=peek.origin.cause,
            reason=f"the post at {at}: {reason}",
        )


async def _nothing() -> AsyncIterator[list[Stored]]:
    return
    yield
