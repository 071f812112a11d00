"""Leases of watched subjects: who was heard when, who has run out, who came back. Times are seconds that never jump."""

from dataclasses import dataclass

from services.health.watch import instance_subject, node_subject
from services.records.event import (
    LeaseMissed,
    LeaseResumed,
    SubjectLate,
    SubjectLost,
    SubjectRecovered,
    SubjectUnwatched,
    SubjectWatched,
    pool_key,
)
from services.records.telemetry import NodeHeartbeat

LEASE_MS_MIN = 100
LEASE_MS_MAX = 600_000
"""Whatever lease a heartbeat names."""

SESSIONS_MAX = 10_000
"""Of so many node sessions it is remembered when they were last heard."""

Judged = SubjectUnwatched | SubjectLost | SubjectLate | SubjectRecovered


@dataclass(slots=True, kw_only=True)
class Lease:
    """One session and incarnation of a subject. `seen_ms` is when its node last said that it was alive."""

    watched: SubjectWatched
    lease_ms: int
    heard_at: float
    seen_ms: int
    is_missed: bool = False  # and that has been told
    is_back: bool = False  # heard since

    def has_run_out(self, now: float) -> bool:
        return now >= self.heard_at + self.lease_ms / 1000

    def missed(self, evidence: str) -> LeaseMissed:
        """The report that it has run out."""
        watched = self.watched
        return LeaseMissed(
            subject=watched.subject,
            owner_key=watched.owner_key,
            session=watched.session,
            incarnation=watched.incarnation,
            last_seen_ms=self.seen_ms,
            lease_ms=self.lease_ms,
            evidence=evidence,
        )

    def resumed(self) -> LeaseResumed:
        """The report that its subject was heard again."""
        watched = self.watched
        return LeaseResumed(
            subject=watched.subject,
            owner_key=watched.owner_key,
            session=watched.session,
            incarnation=watched.incarnation,
            seen_ms=self.seen_ms,
        )


class Leases:
    """All leases by subject. A new one starts full, and so do all after `refill`."""

    def __init__(self, lease_ms: int) -> None:
        self._lease_ms = lease_ms
        self._leases: dict[tuple[str, str], Lease] = {}
        self._nodes_heard: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._leases)

    def watch(self, watched: SubjectWatched, now: float, now_ms: int) -> None:
        """Expect this session and incarnation of a subject to be heard, and no other."""
        self._leases[watched.owner_key, watched.subject] = Lease(
            watched=watched, lease_ms=self._lease_ms, heard_at=now, seen_ms=now_ms
        )

    def judge(self, judged: Judged) -> None:
        """Take over what the watch has decided: also of misses that an earlier monitor told."""
        key = judged.owner_key, judged.subject
        lease = self._leases.get(key)
        if lease is None or not _is_same(lease.watched, judged.session, judged.incarnation):
            return
        if isinstance(judged, SubjectUnwatched | SubjectLost):
            del self._leases[key]
            return
        lease.is_missed = isinstance(judged, SubjectLate)
        lease.seen_ms = max(lease.seen_ms, judged.seen_ms)

    def refill(self, now: float) -> None:
        """Start all leases anew: nobody could be heard until now."""
        for lease in self._leases.values():
            lease.heard_at = now

    def hear(self, beat: NodeHeartbeat, now: float, time_ms: int) -> None:
        """A node is alive, and so are the workers that it names."""
        self._nodes_heard.pop(beat.node_session, None)
        self._nodes_heard[beat.node_session] = now
        if len(self._nodes_heard) > SESSIONS_MAX:
            del self._nodes_heard[next(iter(self._nodes_heard))]
        lease_ms = min(max(beat.lease_ms, LEASE_MS_MIN), LEASE_MS_MAX)
        subjects = [(pool_key(beat.pool), node_subject(beat.node_id), 0)]
        subjects += [(w.workspace_id, instance_subject(w.instance_id), w.incarnation) for w in beat.workers]
        for owner_key, subject, incarnation in subjects:
            lease = self._leases.get((owner_key, subject))
            if lease and _is_same(lease.watched, beat.node_session, incarnation):
                lease.lease_ms, lease.heard_at, lease.seen_ms = lease_ms, now, max(lease.seen_ms, time_ms)
                lease.is_back = lease.is_missed

    def run_out(self, now: float) -> list[Lease]:
        """Those whose miss has not been told yet."""
        return [lease for lease in self._leases.values() if not lease.is_missed and lease.has_run_out(now)]

    def come_back(self) -> list[Lease]:
        """Those that have been heard since their miss was told."""
        return [lease for lease in self._leases.values() if lease.is_missed and lease.is_back]

    def explain(self, lease: Lease, now: float) -> str:
        """What there is to show for a miss."""
        silent_ms = round(1000 * (now - lease.heard_at))
        text = f"not heard for {silent_ms} ms with a lease of {lease.lease_ms} ms, telemetry read to its end"
        if lease.watched.subject.startswith(node_subject("")):
            return text
        node = self._nodes_heard.get(lease.watched.session)
        if node is None:
            return f"{text}; its node was never heard"
        return f"{text}; its node was heard {round(1000 * (now - node))} ms ago"


def _is_same(watched: SubjectWatched, session: str, incarnation: int) -> bool:
    return watched.session == session and watched.incarnation == incarnation
