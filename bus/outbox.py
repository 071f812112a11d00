"""The outbox of a session: facts that are encoded but not sent, sent but not read back, and what waits for the
read-back."""

from __future__ import annotations

from asyncio import Future
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from bus.channel import Partition
from bus.codec import Codec
from bus.decider import DECISION_BYTES_MAX
from bus.errors import RecordTooLarge
from bus.log import BATCH_BYTES_MAX, RECORD_BYTES_MAX, Appender, Raw, size
from bus.record import Fact, Origin, Posted, derive_id

UNACKNOWLEDGED_BATCHES_MAX = 3
"""Batches of one session on their way at once; what is decided meanwhile shares the next batch."""

PENDING_RECORDS_MAX = 2000
"""Facts that may wait to be sent before the inputs are read more slowly."""


class Staged(NamedTuple):
    """One decision, encoded, and the state that it leads to."""

    cause: str  # as in the packed header
    facts: Sequence[Fact]
    ids: Sequence[str]
    trace: str
    raws: Sequence[Raw]
    bytes: int
    last_seq: int
    state: Any

    @property
    def has_posts(self) -> bool:
        return any(isinstance(fact, Posted) for fact in self.facts)


class Outbox:
    """Encodes decisions under a claim, sends them in whole batches and matches what is read back."""

    def __init__(
        self,
        codec: Codec,
        appender: Appender,
        home: Partition,
        claim: Origin,
        *,
        acknowledged: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._codec, self._appender, self._home, self._claim = codec, appender, home, claim
        self._told_acknowledged, self._told_failed = acknowledged, failed
        self.staged_seq = self.confirmed_seq = -1  # of the last fact staged, and of the last one read back
        self._pending: list[Staged] = []
        self._pending_records = self._pending_bytes = self._unacknowledged = 0
        self._in_flight: deque[list[Staged]] = deque()

    def stage(self, facts: Sequence[Fact], cause: str, cause_id: str, trace: str, now_ms: int, state: Any) -> None:
        """Take one decision; it goes out with the next flush, never cut in two. Raises RecordTooLarge and takes
        nothing."""
        staged = self._encode(facts, cause, cause_id, trace, now_ms, state)
        if self._pending and self._pending_bytes + staged.bytes > BATCH_BYTES_MAX:
            self._send()
        self._pending.append(staged)
        self._pending_bytes += staged.bytes
        self._pending_records += len(facts)
        self.staged_seq = staged.last_seq

    def _encode(self, facts: Sequence[Fact], cause: str, cause_id: str, trace: str, now_ms: int, state: Any) -> Staged:
        claim, parts, total, first = self._claim, len(facts), 0, self.staged_seq + 1
        ids, raws = [], []
        for part, fact in enumerate(facts):
            fact_id = derive_id(claim.role, cause_id, part)
            origin = Origin("fact", claim.role, claim.session, claim.epoch, first + part, part, parts, cause)
            raw = self._codec.encode(fact, record_id=fact_id, origin=origin, time_ms=now_ms, trace=trace)
            total += _checked_size(raw, fact)
            ids.append(fact_id)
            raws.append(raw)
        if total > DECISION_BYTES_MAX:
            raise RecordTooLarge(f"a decision of {total} bytes is over the limit of {DECISION_BYTES_MAX}")
        return Staged(cause, facts, ids, trace, raws, total, first + parts - 1, state)

    def flush(self) -> None:
        """Send what is pending, unless enough is on its way already; then it goes when an acknowledgement comes."""
        if self._pending and self._unacknowledged < UNACKNOWLEDGED_BATCHES_MAX:
            self._send()

    def _send(self) -> None:
        decisions, self._pending = self._pending, []
        self._pending_records = self._pending_bytes = 0
        self._in_flight.append(decisions)
        self._unacknowledged += 1
        future = self._appender.append(self._home, [raw for staged in decisions for raw in staged.raws])
        future.add_done_callback(self._acknowledged)

    def _acknowledged(self, future: Future[int]) -> None:
        self._unacknowledged -= 1
        if future.cancelled():
            return
        if error := future.exception():
            self._told_failed(error)
        else:
            self.flush()
            self._told_acknowledged()

    def read_back(self, seq: int) -> list[Staged]:
        """An own fact with this number was admitted; gives the decisions of its batch once the batch is whole in the
        log."""
        if not self._in_flight or seq != self._in_flight[0][-1].last_seq:
            return []
        self.confirmed_seq = seq
        return self._in_flight.popleft()

    @property
    def has_room(self) -> bool:
        """Whether more may be decided now: not while what is pending had to be sent over and above what may be on its
        way."""
        return self._pending_records < PENDING_RECORDS_MAX and self._unacknowledged <= UNACKNOWLEDGED_BATCHES_MAX

    @property
    def is_settled(self) -> bool:
        """Whether everything staged was acknowledged."""
        return not self._pending and not self._unacknowledged


def _checked_size(raw: Raw, fact: Fact) -> int:
    if (found := size(raw)) > RECORD_BYTES_MAX:
        raise RecordTooLarge(f"a {type(fact).__name__} of {found} bytes is over the limit of {RECORD_BYTES_MAX}")
    return found
