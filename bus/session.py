"""A session: one claim of one role on one partition, from its first decision to its loss. Everything in it goes with
it."""

from __future__ import annotations

import logging
from asyncio import Future
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random, SystemRandom
from typing import Any, NamedTuple

from bus.blob_cache import BlobCache
from bus.channel import Partition, Position
from bus.clock import Clock
from bus.codec import Codec, Peek
from bus.decider import DECISION_RECORDS_MAX, Draft, Role
from bus.errors import RecordTooLarge
from bus.ledger import Ledger, Peer, Post, addressed
from bus.log import Appender, Raw, Stored
from bus.memory import Recalled
from bus.outbox import Outbox, Staged
from bus.quarantine import undecided, undecodable
from bus.reader import Place
from bus.recall import Recaller
from bus.record import (
    DeadlineReached,
    Envelope,
    Fact,
    Heard,
    InputQuarantined,
    Origin,
    PostAcknowledged,
    derive_id,
    derive_trace,
)
from bus.snapshot import SNAPSHOT_RECORDS, Snapshot, Snapshots, witness_of

logger = logging.getLogger(__name__)

HEARD_RECORDS_MAX = 10_000
"""Inputs heard before a session notes how far it is, so that a new owner need not hear them again."""

WAITING_RECORDS_MAX = 1000
"""Inputs of one channel that may wait for a blob before the channel is read more slowly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What a session needs of the world."""

    codec: Codec
    clock: Clock
    blobs: BlobCache
    homes: Mapping[str, str]  # channel of each role
    partitions: int
    random: Random = field(default_factory=SystemRandom)  # session ids and jitter
    heard_records_max: int = HEARD_RECORDS_MAX
    snapshots: Snapshots | None = None
    snapshot_records: int = SNAPSHOT_RECORDS
    recaller: Recaller | None = None  # for roles with a memory


class Garbled(NamedTuple):
    """An input that cannot be decoded."""

    at: Position
    stored: Stored
    error: Exception


class Session:
    """Hears inputs in order, decides at once on the newest state, and acts (posts, acknowledgements) on what was read
    back."""

    def __init__(
        self,
        role: Role[Any],
        home: Partition,
        claim: Origin,
        claimed_at: int,
        state: Any,
        ledger: Ledger,
        appender: Appender,
        ports: Ports,
        *,
        lose: Callable[[str], None],
        progressed: Callable[[], None],
    ) -> None:
        self.role, self.home, self.claim, self.ledger, self.ports = role, home, claim, ledger, ports
        self.state = self.confirmed = state
        self.confirmed_at = claimed_at  # `confirmed` is the fold of home up to this offset
        self.live = False  # all inputs were heard up to where they ended at the claim; deadlines count from then on
        self._claimed_at, self._appender, self._lose = claimed_at, appender, lose
        self._outbox = Outbox(
            ports.codec,
            appender,
            home,
            claim,
            acknowledged=progressed,
            failed=lambda error: lose(f"an append failed: {error}"),
        )
        self._waiting: dict[str, deque[Envelope | Garbled]] = {}
        self._is_stalled = False  # a deadline waits for a blob
        # Own sequence number to wait for, sender, number.
        self._acknowledgements: deque[tuple[int, Peer, int]] = deque()
        self._recovered = dict(ledger.last)
        self._heard = 0
        self._read_seq = -1  # of the last own fact that was read, part of a whole batch or not
        self.confirmed_records = 0  # own facts read back since a snapshot was taken
        self.snapshot_offset = 0  # of the newest snapshot at home

    # Hearing.

    def hear(self, envelope: Envelope) -> None:
        """Decide on an input, or let it wait behind those of its channel that wait for a blob."""
        assert envelope.at is not None
        self._heard += 1
        waiting = self._waiting.get(envelope.at.channel)
        if waiting is not None:
            waiting.append(envelope)
        elif not self._settle(envelope):
            self._waiting[envelope.at.channel] = deque([envelope])

    def _settle(self, envelope: Envelope) -> bool:
        """Decide on an input unless it was decided before; False if it must wait for a blob."""
        at = envelope.at
        assert at is not None
        if envelope.origin.kind == "post":
            return self._settle_post(envelope, at)
        if isinstance(envelope.record, PostAcknowledged):
            self._note_acknowledged(envelope.record)
            return True
        return at.offset <= self._recovered.get(at.channel, -1) or self._decide(envelope)

    def _settle_post(self, envelope: Envelope, at: Position) -> bool:
        """Posts count in the order of their numbers: the next is decided, lower ones were, higher ones are repeated
        later."""
        is_new = at.offset > self._recovered.get(at.channel, -1)
        try:
            sender = self._sender(envelope.origin)
        except ValueError as error:
            if is_new:
                self._quarantine(envelope, error)
            return True
        expected = self.ledger.received.get(sender, 0)
        is_new = is_new and envelope.origin.seq == expected
        if is_new and not self._decide(envelope):
            return False
        if envelope.origin.seq <= expected:
            self.ledger.receive(sender, envelope.origin.seq)
            self._acknowledgements.append((self._outbox.staged_seq, sender, self.ledger.received[sender]))
        return True

    def _sender(self, origin: Origin) -> Peer:
        """Whose post it is; ValueError if there is nobody like that to acknowledge it to."""
        home = Position.parse(origin.cause)
        if self.ports.homes.get(origin.role) != home.channel or not 0 <= home.number < self.ports.partitions:
            raise ValueError(f"role {origin.role!r} has no home at {home}")
        return origin.role, home.number

    def _note_acknowledged(self, record: PostAcknowledged) -> None:
        if record.sender == self.role.name:
            self.ledger.acknowledge((record.role, record.partition), record.number)

    def _decide(self, envelope: Envelope) -> bool:
        now_ms = self._now_ms()
        try:
            recalled, is_recalled = self._recalled(envelope)
            blobs = self._needed(envelope, recalled) if is_recalled else None
            if blobs is None:
                return False
            draft = Draft(self.role, self.state, envelope.id, now_ms, blobs, recalled)
            self.role.decide(draft, envelope)
            if draft.kept and not self.ports.blobs.keep(draft.kept):
                return False  # decided again once it is durable
            self._conclude(draft, str(envelope.at or f"deadline:{envelope.id}"), envelope.trace)
        except Exception as error:  # noqa: BLE001 — recorded as quarantined; what comes after it goes on
            self._quarantine(envelope, error)
        return True

    def _needed(self, envelope: Envelope, recalled: Recalled | None) -> Mapping[str, bytes | None] | None:
        digests = self.role.needs(self.state, envelope)
        if recalled is not None and self.role.memory is not None:
            digests = (*digests, *self.role.memory.needs(recalled, envelope))
        return self.ports.blobs.now(digests) if digests else {}

    def _recalled(self, envelope: Envelope) -> tuple[Recalled | None, bool]:
        """What it wants to recall, if it does, and whether that is there."""
        wanted = self.role.memory.wants(self.state, envelope) if self.role.memory else None
        if wanted is None or self.ports.recaller is None:
            return None, True
        found = self.ports.recaller.now(self.role, self.home, wanted)
        return found, found is not None

    def _conclude(self, draft: Draft[Any], cause: str, trace: str) -> None:
        if len(draft.facts) > DECISION_RECORDS_MAX:
            raise RecordTooLarge(f"a decision of {len(draft.facts)} facts is over the limit of {DECISION_RECORDS_MAX}")
        if draft.facts:
            self._outbox.stage(draft.facts, cause, draft.cause_id, trace, draft.now_ms, draft.state)
            self.state = draft.state

    def _quarantine(self, envelope: Envelope, error: Exception) -> None:
        if envelope.at is None:
            logger.critical("%s cannot decide its deadline %s", self.role.name, envelope.id, exc_info=error)
            raise error
        logger.error("%s quarantines %s", self.role.name, envelope.at, exc_info=error)
        what = f"{self.role.name} cannot decide this {type(envelope.record).__name__}"
        self._say(undecided(envelope.at, f"{what}: {type(error).__name__}: {error}"), envelope.trace)

    def quarantine_undecodable(self, at: Position, stored: Stored, error: Exception) -> None:
        """Set aside an input that nobody can decode, in its turn; this role is the one that topology names for it."""
        waiting = self._waiting.get(at.channel)
        if waiting is not None:
            waiting.append(Garbled(at, stored, error))
        else:
            self._set_aside(Garbled(at, stored, error))

    def _set_aside(self, garbled: Garbled) -> None:
        at, stored, error = garbled
        if at.offset > self._recovered.get(at.channel, -1):
            logger.error("%s quarantines %s: %s", self.role.name, at, error)
            self._say(undecodable(at, stored, error), derive_trace(str(at)))

    def _say(self, fact: InputQuarantined, trace: str) -> None:
        """The id derives from the position: two records under one id are two inputs."""
        self._outbox.stage([fact], fact.input, fact.input, trace, self._now_ms(), self.state)

    def _now_ms(self) -> int:
        """Time never goes back within a role."""
        self.ledger.time_ms = max(self.ledger.time_ms, self.ports.clock.now_ms())
        return self.ledger.time_ms

    def resume(self) -> None:
        """Go on with inputs and deadlines whose blobs have come."""
        for channel, waiting in list(self._waiting.items()):
            while waiting and self._settle_waiting(waiting[0]):
                waiting.popleft()
            if not waiting:
                del self._waiting[channel]
        self._is_stalled = False
        self.wake()

    def _settle_waiting(self, item: Envelope | Garbled) -> bool:
        if isinstance(item, Garbled):
            self._set_aside(item)
            return True
        return self._settle(item)

    # Deadlines.

    def next_deadline_ms(self) -> int | None:
        """When to call `wake`, in Unix milliseconds; None also while that would not help."""
        if not self.live or self._is_stalled or not self._outbox.has_room:
            return None
        first = self.role.deadlines(self.state).first()
        return first[0] if first else None

    def wake(self) -> None:
        """Decide on every deadline that has come."""
        while self.live and self._outbox.has_room and (first := self.role.deadlines(self.state).first()):
            at_ms, name = first
            if at_ms > self._now_ms():
                break
            record: Any = DeadlineReached(name, at_ms)
            cause_id = f"{name}@{at_ms}"
            before = self.state
            if not self._decide(Envelope(record, cause_id, Origin("deadline"), None, at_ms, derive_trace(name))):
                self._is_stalled = True
                break
            if self.state is before:
                raise AssertionError(f"{self.role.name} neither moved nor cleared its deadline {name}")
        self.flush()

    # What was read back.

    def read_back(self, stored: Stored, peek: Peek, counts: bool) -> None:
        """A claim or fact of this role was read at home."""
        origin = peek.origin
        if stored.offset <= self._claimed_at:
            return
        if origin.session != self.claim.session:
            if counts and origin.kind == "claim":
                self._lose(f"session {origin.session} claimed it with epoch {origin.epoch}")
        elif not counts:
            self._lose(f"its own record at {self.home}/{stored.offset} does not count: a batch before it is missing")
        else:
            self._read_seq = origin.seq
            self._confirm(self._outbox.read_back(origin.seq), stored.offset)

    def _confirm(self, decisions: list[Staged], last_offset: int) -> None:
        """These decisions stand in the log, the last fact at this offset: remember them, and send what they post."""
        if not decisions:
            return
        self.confirmed, self.confirmed_at = decisions[-1].state, last_offset
        last_seq = decisions[-1].last_seq
        for staged in decisions:
            self.confirmed_records += len(staged.facts)
            self.ledger.note_cause(staged.cause)
            if isinstance(staged.facts[0], Heard):
                self.ledger.newest_heard = staged.facts[0]
            if staged.has_posts:
                first = last_offset - (last_seq - staged.last_seq) - len(staged.facts) + 1
                self._post(staged, first)
        self._acknowledge()

    def _post(self, staged: Staged, first_offset: int) -> None:
        for part, fact in enumerate(staged.facts):
            at = Position(*self.home, first_offset + part)
            post = self.ledger.note(fact, staged.ids[part], at, staged.trace)
            if post and self.live:
                self._send_post(post)

    def go_live(self) -> None:
        """All inputs were heard up to the claim: repeat the posts not known to be acknowledged, then act on
        deadlines."""
        self.live = True
        for _, post in self.ledger.unacknowledged():
            self._send_post(post)
        self.wake()

    def _send_post(self, post: Post) -> None:
        claim = self.claim
        origin = Origin("post", claim.role, claim.session, claim.epoch, post.number, cause=str(post.at))
        raw = self.ports.codec.encode(
            post.fact,
            record_id=post.fact_id,
            origin=origin,
            time_ms=self.ledger.time_ms,
            trace=post.trace,
            key=post.fact.address(),
        )
        self._append(addressed(post, self.ports.homes, self.ports.partitions), raw)

    def _acknowledge(self) -> None:
        """Tell senders which posts are decided, as far as the decisions were read back."""
        pending: dict[Peer, int] = {}
        while self._acknowledgements and self._acknowledgements[0][0] <= self._outbox.confirmed_seq:
            _, sender, number = self._acknowledgements.popleft()
            pending[sender] = number
        for (role, partition), number in sorted(pending.items()):
            back = Partition(self.ports.homes[role], partition)
            record = PostAcknowledged(sender=role, role=self.role.name, partition=self.home.number, number=number)
            raw = self.ports.codec.encode(
                record,
                record_id=derive_id("acknowledged", role, back, self.role.name, self.home, number),
                origin=Origin("report"),
                time_ms=self._now_ms(),
                trace=derive_trace(str(self.home)),
            )
            self._append(back, raw)

    def _append(self, partition: Partition, raw: Raw) -> None:
        self._appender.append(partition, [raw]).add_done_callback(self._check_append)

    def _check_append(self, done: Future[int]) -> None:
        if not done.cancelled() and (error := done.exception()):
            self._lose(f"an append failed: {error}")

    # Between chunks of input.

    def flush(self) -> None:
        """Send what was decided; called after each chunk of input."""
        self._outbox.flush()
        self._acknowledge()

    def note_heard(self, places: Callable[[], Mapping[str, Place]], *, least: int | None = None) -> None:
        """Record how far the inputs were heard, if at least so many were since the last time and none waits."""
        if self._heard < (least or self.ports.heard_records_max) or self._waiting or not self.live:
            return
        self._heard = 0
        fact: Fact = self.ledger.heard(dict(places()))
        cause_id = f"{self.claim.session}|heard|{self._outbox.staged_seq}"
        self._outbox.stage([fact], "", cause_id, derive_trace(str(self.home)), self._now_ms(), self.state)
        self._outbox.flush()

    def snapshot(self, place: Place, newest: Stored | None) -> Snapshot | None:
        """The fold up to this place of home; None while it stands in the middle of a batch of ours."""
        if newest is None or self._read_seq != self._outbox.confirmed_seq:
            return None
        self.confirmed_records, self.snapshot_offset = 0, place.offset
        return Snapshot(place, witness_of(newest), self.confirmed, self.ledger.saved())

    @property
    def has_room(self) -> bool:
        """Whether more input may come."""
        return self._outbox.has_room and all(len(queue) < WAITING_RECORDS_MAX for queue in self._waiting.values())

    @property
    def is_settled(self) -> bool:
        """Whether everything decided was acknowledged by the log."""
        return self._outbox.is_settled
