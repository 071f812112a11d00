"""Planted bugs in claims, fences and decisions."""

from __future__ import annotations

import uuid
from asyncio import Future
from typing import Any

import bus.outbox
from bus.fence import Fence, Fences
from bus.home_fold import HomeFold
from bus.outbox import Outbox
from bus.record import Origin
from bus.seat import Seat
from bus.session import Session

_read, _admit, _init = Fence.read, Fences.admit, Session.__init__
_claim, _lose = Seat._claim, Seat._lose


def _admit_all(self: Fences, origin: Origin) -> bool:
    return _admit(self, origin) or origin.kind == "fact"


def _read_any_claim(self: Fence, origin: Origin) -> tuple[Fence, bool]:
    if origin.kind == "claim" and origin.epoch >= self.epoch and origin.epoch < 1000:
        return Fence(origin.session, origin.epoch), True
    return _read(self, origin)


def _read_over_gaps(self: Fence, origin: Origin) -> tuple[Fence, bool]:
    if origin.kind == "fact" and (origin.session, origin.epoch) == (self.session, self.epoch) and self.epoch:
        return Fence(self.session, self.epoch, origin.seq + 1), True
    return _read(self, origin)


def _read_without_claim(self: Fence, origin: Origin) -> tuple[Fence, bool]:
    if origin.kind == "fact" and (origin.session, origin.epoch, origin.seq) == tuple(self)[:3] and not self.gap:
        return Fence(self.session, self.epoch, self.seq + 1), True
    return _read(self, origin)


def _lose_but_keep_claim(self: Any, reason: str) -> None:
    self.kept = self.session.claim if self.session and "append failed" in reason else None
    _lose(self, reason)


async def _go_on(self: Any, appender: Any) -> Session:
    """Under the old claim, from what is in the log now."""
    kept: Origin | None = getattr(self, "kept", None)
    self.kept = None
    if kept is None:
        return await _claim(self, appender)
    fold = HomeFold(self.role, self.home, self._ports.codec, self._log.partitions)
    end = (await self._log.ends([self.home]))[self.home]
    await fold.read(self._log, end)
    fence = fold._admission.fences.by_role[self.role.name]
    if fence.session != kept.session or fence.gap:
        return await _claim(self, appender)
    session = Session(
        self.role, self.home, kept, end - 1, fold.state, fold.ledger, appender, self._ports,
        lose=lambda reason: self._lose_claim(kept, reason), progressed=self._progressed,
    )  # fmt: skip
    session._outbox.staged_seq = session._outbox.confirmed_seq = fence.seq - 1
    return session


def _hear_no_claims(self: Session, stored: Any, peek: Any, counts: bool) -> None:
    if peek.origin.session == self.claim.session and stored.offset > self._claimed_at and counts:
        self._confirm(self._outbox.read_back(peek.origin.seq), stored.offset)


def _send_one_by_one(self: Any) -> None:
    decisions, self._pending = self._pending, []
    self._pending_records = self._pending_bytes = 0
    self._in_flight.append(decisions)
    for raw in [raw for staged in decisions for raw in staged.raws]:
        self._unacknowledged += 1
        self._appender.append(self._home, [raw]).add_done_callback(self._acknowledged)


def _derive_nothing(*parts: object) -> str:
    return uuid.uuid4().hex[:24]


def _now(self: Session) -> int:
    self.ledger.time_ms = self.ports.clock.now_ms()
    return self.ledger.time_ms


def _init_with_outbox(self: Any, *args: Any, **kwargs: Any) -> None:
    _init(self, *args, **kwargs)
    self._outbox.session = self


def _act_on_acknowledgement(self: Any, future: Future[int]) -> None:
    self._unacknowledged -= 1
    if future.cancelled():
        return
    if error := future.exception():
        self._told_failed(error)
        return
    decisions = self._in_flight.popleft()
    self.confirmed_seq = decisions[-1].last_seq
    count = sum(len(staged.facts) for staged in decisions)
    self.session._confirm(decisions, future.result() + count - 1)
    self.flush()
    self._told_acknowledged()


def _pass_over(self: Any, *what: Any) -> None:
    pass


def _read_back_nothing(self: Any, seq: int) -> list[Any]:
    return []


BUGS: dict[str, tuple[str, str, Any]] = {
    "no_fence": (
        "facts of any claim are taken",
        "I1 I2 I3 I5 I6 I10",
        lambda: ((Fences, "admit", _admit_all),),
    ),
    "claim_without_compare": (
        "a claim counts though it does not follow the newest one",
        "I1 I2 I3 I5 I6 I16 quiet",
        lambda: ((Fence, "read", _read_any_claim),),
    ),
    "gap_ignored": (
        "readers go on behind a gap",
        "I1 I2 I3 I5 I6 I16",
        lambda: ((Fence, "read", _read_over_gaps),),
    ),
    "no_claim_needed": (
        "a fact counts under no claim at all",
        "I5",
        lambda: ((Fence, "read", _read_without_claim),),
    ),
    "session_goes_on": (
        "after an unknown append the owner goes on under its old claim",
        "I1 I2 I3 I5 I6 I10 I16",
        lambda: ((Seat, "_lose", _lose_but_keep_claim), (Seat, "_claim", _go_on)),
    ),
    "deaf_owner": (
        "an owner does not mind that its claim is over",
        "I1 I6 I10 I15",
        lambda: ((Session, "read_back", _hear_no_claims),),
    ),
    "straddle": (
        "one decision is cut into batches",
        "I1 I3",
        lambda: ((Outbox, "_send", _send_one_by_one),),
    ),
    "random_ids": (
        "ids do not derive from the cause",
        "I11",
        lambda: ((bus.outbox, "derive_id", _derive_nothing),),
    ),
    "time_goes_back": (
        "facts carry the clock's time as it is",
        "I10",
        lambda: ((Session, "_now_ms", _now),),
    ),
    "effect_early": (
        "posts are sent for facts that were acknowledged, not read back",
        "I16 I1 I6",
        lambda: (
            (Session, "__init__", _init_with_outbox),
            (Outbox, "_acknowledged", _act_on_acknowledgement),
            (Outbox, "read_back", _read_back_nothing),
        ),
    ),
    "quarantine_forgotten": (
        "what cannot be decoded or decided is passed over",
        "I15",
        lambda: ((Session, "_quarantine", _pass_over), (Session, "_set_aside", _pass_over)),
    ),
}
