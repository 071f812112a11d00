"""Planted bugs in folding, recovering and hearing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bus.blob_cache import BlobCache
from bus.feed import Feeds
from bus.fence import Fence
from bus.home_fold import HomeFold, chunks_until
from bus.reader import Admission, Place
from bus.record import DeadlineReached, Envelope, Origin
from bus.seat import Seat
from bus.session import Garbled, Session

_claim, _init, _read = Seat._claim, Session.__init__, HomeFold.read
_fence_read, _note_heard, _needed = Fence.read, Session.note_heard, Session._needed
_keep = BlobCache.keep
_next_deadline_ms, _wake = Session.next_deadline_ms, Session.wake
UNKNOWN = "?"


async def _claim_and_skip(self: Any, appender: Any) -> Session:
    """As if whatever was asked before could not matter any more."""
    session = await _claim(self, appender)
    for channel in self.role.inputs:
        partition = self.home._replace(channel=channel)
        end, admission = (await self._log.ends([partition]))[partition], Admission(self._ports.codec)
        async for chunk in chunks_until(self._log, partition, 0, end):
            for _ in admission.admit(chunk):
                pass
        session.ledger.inputs[channel] = admission.place
    return session


async def _claim_with_cold_fences(self: Any, appender: Any) -> Session:
    session = await _claim(self, appender)
    session.ledger.inputs = {
        channel: Place(place.offset, dict.fromkeys(place.fences, Fence(session=UNKNOWN)))
        for channel, place in session.ledger.inputs.items()
    }
    return session


def _believe_the_first(self: Fence, origin: Origin) -> tuple[Fence, bool]:
    if self.session == UNKNOWN:
        return Fence(origin.session, origin.epoch, origin.seq + (origin.kind == "fact")), True
    return _fence_read(self, origin)


async def _read_to_the_first_end(self: Any, log: Any, end: int) -> None:
    """What lands between the look at the end and the claim is read over."""
    if getattr(self, "was_read", False):
        self._fold = lambda stored, peek: None
    self.was_read = True
    await _read(self, log, end)


def _init_forgetting_causes(self: Any, *args: Any, **kwargs: Any) -> None:
    _init(self, *args, **kwargs)
    self._recovered = {}


def _init_remembering_state(self: Any, *args: Any, **kwargs: Any) -> None:
    _init(self, *args, **kwargs)
    self.recovered_state = self.state


def _no_deadline_of_before(self: Any) -> int | None:
    return None if self.state is self.recovered_state else _next_deadline_ms(self)


def _no_wake_of_before(self: Any) -> None:
    if self.state is not self.recovered_state:
        _wake(self)


def _wake_early(self: Any) -> None:
    while self.live and (first := self.role.deadlines(self.state).first()) and first[0] <= self._now_ms() + 100:
        record: Any = DeadlineReached(first[1], first[0])
        self._decide(Envelope(record, f"{first[1]}@{first[0]}", Origin("deadline"), None, first[0], "0" * 32))
    self.flush()


def _deadline_early(self: Any) -> int | None:
    at_ms = _next_deadline_ms(self)
    return at_ms and at_ms - 100


def _ahead(places: Any) -> Any:
    def read_but_not_heard() -> Mapping[str, Place]:
        return {channel: Place(place.offset + 2, place.fences) for channel, place in places().items()}

    return read_but_not_heard


def _note_ahead(self: Session, places: Any, *, least: int | None = None) -> None:
    _note_heard(self, _ahead(places), least=least)


def _note_while_waiting(self: Any, places: Any, *, least: int | None = None) -> None:
    waiting, self._waiting = self._waiting, {}
    _note_heard(self, places, least=least)
    self._waiting = waiting


def _jump_the_queue(self: Session, at: Any, stored: Any, error: Exception) -> None:
    self._set_aside(Garbled(at, stored, error))


async def _join_late(self: Any, own: Any, subscription: Any) -> bool:
    """The way it once was: let go of the reader, then join a feed that has moved meanwhile."""
    partition, reader = own.partition, None
    try:
        while partition in self._feeds and own.admission.offset < self._feeds[partition].admission.offset:
            reader = reader or await self._log.reader({partition: own.admission.offset})
            chunk = (await reader.read(records_max=500)).get(partition, ())
            behind = self._feeds[partition].admission.offset if partition in self._feeds else own.admission.offset
            own.deliver([stored for stored in chunk if stored.offset < behind])
            reader.seek({partition: own.admission.offset})
    finally:
        if reader is not None:
            await reader.close()
    if partition not in self._feeds:
        return False
    self._feeds[partition].add(subscription, own.admission.offset)
    return True


def _lack_at_once(self: Session, envelope: Envelope) -> Mapping[str, bytes | None] | None:
    found = _needed(self, envelope)
    return dict.fromkeys(self.role.needs(self.state, envelope)) if found is None else found


def _keep_later(self: Any, contents: Mapping[str, bytes]) -> bool:
    _keep(self, contents)
    return True


BUGS: dict[str, tuple[str, str, Any]] = {
    "no_resume": (
        "recovery hears from the end of the inputs",
        "I1 I15",
        lambda: ((Seat, "_claim", _claim_and_skip),),
    ),
    "cold_fence": (
        "recovery reads inputs from where it stood with fences that know nothing",
        "I1 I2 I5 I6 I16 quiet",
        lambda: ((Seat, "_claim", _claim_with_cold_fences), (Fence, "read", _believe_the_first)),
    ),
    "fold_short": (
        "the fold stops before the owner's own claim",
        "I1 I2 I6 I10 I11",
        lambda: ((HomeFold, "read", _read_to_the_first_end),),
    ),
    "decide_again": (
        "recovery decides everything heard again, without looking at the last cause",
        "I2",
        lambda: ((Session, "__init__", _init_forgetting_causes),),
    ),
    "deadline_lost": (
        "deadlines set before a take-over are forgotten",
        "I10",
        lambda: (
            (Session, "__init__", _init_remembering_state),
            (Session, "next_deadline_ms", _no_deadline_of_before),
            (Session, "wake", _no_wake_of_before),
        ),
    ),
    "deadline_early": (
        "deadlines act before their time by the clock that is recorded",
        "I10",
        lambda: ((Session, "wake", _wake_early), (Session, "next_deadline_ms", _deadline_early)),
    ),
    "heard_ahead": (
        "`Heard` names a position ahead of what was decided",
        "I1 I15",
        lambda: ((Session, "note_heard", _note_ahead),),
    ),
    "heard_while_waiting": (
        "`Heard` passes inputs that wait for a blob",
        "I1",
        lambda: ((Session, "note_heard", _note_while_waiting),),
    ),
    "quarantine_jumps": (
        "what cannot be decoded is set aside before what waits in front of it",
        "I1 I4",
        lambda: ((Session, "quarantine_undecodable", _jump_the_queue),),
    ),
    "joined_late": (
        "a feed goes on between the end of catching up and joining it",
        "I1 I4 I15",
        lambda: ((Feeds, "_catch_up", _join_late),),
    ),
    "receipt_not_durable": (
        "a fact is said before the content that it names is durable",
        "I16",
        lambda: ((BlobCache, "keep", _keep_later),),
    ),
    "blob_not_waited_for": (
        "content that is still being loaded is said to be lacking",
        "I1",
        lambda: ((Session, "_needed", _lack_at_once),),
    ),
}
