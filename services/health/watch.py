"""The watch: which instances and nodes are alive, late or lost, and the alarm of each such episode.

A subject is watched from `InstanceReady` or `NodeAccepted` on until its end. The first missed lease makes it late and
raises an alarm; heard again it has recovered; silent for `GRACE_LEASES` more it is lost, which is final for this
session and incarnation. The alarm is cleared once, when the subject recovers or is watched no more. Reports about
another session or incarnation, or older than what is known, are ignored. What a budget crosses is an alarm too.
"""

from collections.abc import Callable, Mapping

from bus.decider import Draft, Role
from bus.record import DeadlineReached, Envelope, Record
from services.health.spending import alarm, relieve
from services.health.watch_state import FOLDS, Subject, Watched, epoch_name, evolve, subject_name
from services.records.event import (
    AlarmCleared,
    AlarmRaised,
    BudgetClosed,
    BudgetCrossed,
    BudgetSet,
    InstanceEnded,
    InstanceReady,
    InstanceStopping,
    LeaseMissed,
    LeaseResumed,
    NodeAccepted,
    NodeLost,
    SubjectLate,
    SubjectLost,
    SubjectRecovered,
    SubjectUnwatched,
    SubjectWatched,
    pool_key,
)

GRACE_LEASES = 1
"""Leases that a late subject has left before it is lost."""

GRACE_MS_MIN = 1_000
"""Shortest grace, whatever lease a report names."""

GRACE_MS_MAX = 600_000
"""Longest grace, whatever lease a report names."""

EVIDENCE_LENGTH_MAX = 1_000
"""Characters of a report's evidence that are repeated."""

LEASE_RULE = "lease"
"""Rule of the alarm that a missed lease raises."""


def decide(draft: Draft[Watched], heard: Envelope) -> None:
    """Watch, judge leases, raise and clear alarms."""
    if isinstance(heard.record, DeadlineReached):
        _meet_deadline(draft, heard.record)
    elif answer := _ANSWERS.get(type(heard.record)):
        answer(draft, heard)


def instance_subject(instance_id: str) -> str:
    """How an instance is named as a subject."""
    return f"instance:{instance_id}"


def node_subject(node_id: str) -> str:
    """How a node is named as a subject."""
    return f"node:{node_id}"


# Who is watched.


def _welcome_instance(draft: Draft[Watched], heard: Envelope) -> None:
    ready: InstanceReady = heard.record
    _watch(draft, ready.workspace_id, instance_subject(ready.instance_id), ready.node_session, ready.incarnation)


def _welcome_node(draft: Draft[Watched], heard: Envelope) -> None:
    accepted: NodeAccepted = heard.record
    _watch(draft, pool_key(accepted.pool), node_subject(accepted.node_id), accepted.node_session, 0)


def _watch(draft: Draft[Watched], owner_key: str, subject: str, session: str, incarnation: int) -> None:
    known = draft.state.subjects.get(subject_name(owner_key, subject))
    if known and (known.session, known.incarnation) == (session, incarnation):
        return
    if epoch_name(owner_key, subject, session, incarnation) in draft.state.seen:
        return
    if known:
        _unwatch(draft, known, "another session or incarnation of it took over")
    draft.add(SubjectWatched(subject=subject, owner_key=owner_key, session=session, incarnation=incarnation))


def _leave_stopping(draft: Draft[Watched], heard: Envelope) -> None:
    stopping: InstanceStopping = heard.record
    known = _find(draft.state, stopping.workspace_id, instance_subject(stopping.instance_id))
    if known and (known.session, known.incarnation) == (stopping.node_session, stopping.incarnation):
        _unwatch(draft, known, "the instance is being stopped")


def _leave_ended(draft: Draft[Watched], heard: Envelope) -> None:
    ended: InstanceEnded = heard.record
    if known := _find(draft.state, ended.workspace_id, instance_subject(ended.instance_id)):
        _unwatch(draft, known, f"the instance ended: {ended.status}")


def _leave_node(draft: Draft[Watched], heard: Envelope) -> None:
    lost: NodeLost = heard.record
    known = _find(draft.state, pool_key(lost.pool), node_subject(lost.node_id))
    if known and known.session == lost.node_session:
        _unwatch(draft, known, "the node session is over")


def _find(state: Watched, owner_key: str, subject: str) -> Subject | None:
    return state.subjects.get(subject_name(owner_key, subject))


def _unwatch(draft: Draft[Watched], known: Subject, reason: str) -> None:
    _clear(draft, known, reason)
    draft.add(
        SubjectUnwatched(
            subject=known.subject,
            owner_key=known.owner_key,
            session=known.session,
            incarnation=known.incarnation,
            reason=reason,
        )
    )


# Who is late.


def _suspect(draft: Draft[Watched], heard: Envelope) -> None:
    missed: LeaseMissed = heard.record
    known = _find_reported(draft.state, missed)
    if known is None or known.phase != "alive" or missed.last_seen_ms < known.seen_ms:
        return
    evidence = (
        missed.evidence[:EVIDENCE_LENGTH_MAX]
        or f"last seen at {missed.last_seen_ms}, its lease is {missed.lease_ms} ms"
    )
    draft.add(
        SubjectLate(
            subject=known.subject,
            owner_key=known.owner_key,
            session=known.session,
            incarnation=known.incarnation,
            lost_at_ms=draft.now_ms + min(max(GRACE_LEASES * missed.lease_ms, GRACE_MS_MIN), GRACE_MS_MAX),
            evidence=evidence,
            seen_ms=missed.last_seen_ms,
        )
    )
    draft.add(
        AlarmRaised(
            alarm_id=draft.new_id("alarm", known.subject),
            rule=LEASE_RULE,
            subject=known.subject,
            owner_key=known.owner_key,
            evidence=evidence,
        )
    )


def _trust(draft: Draft[Watched], heard: Envelope) -> None:
    resumed: LeaseResumed = heard.record
    known = _find_reported(draft.state, resumed)
    if known is None or known.phase != "late" or resumed.seen_ms <= known.seen_ms:
        return
    draft.add(
        SubjectRecovered(
            subject=known.subject,
            owner_key=known.owner_key,
            session=known.session,
            incarnation=known.incarnation,
            seen_ms=resumed.seen_ms,
        )
    )
    _clear(draft, known, f"heard again at {resumed.seen_ms}")


def _find_reported(state: Watched, report: LeaseMissed | LeaseResumed) -> Subject | None:
    known = _find(state, report.owner_key, report.subject)
    if known is None or (known.session, known.incarnation) != (report.session, report.incarnation):
        return None
    return known


def _clear(draft: Draft[Watched], known: Subject, evidence: str) -> None:
    if known.alarm_id:
        draft.add(
            AlarmCleared(
                alarm_id=known.alarm_id,
                rule=known.alarm_rule,
                subject=known.subject,
                owner_key=known.owner_key,
                evidence=evidence,
            )
        )


def _meet_deadline(draft: Draft[Watched], reached: DeadlineReached) -> None:
    at_ms = draft.state.deadlines.times.get(reached.id)
    if at_ms is None or at_ms > draft.now_ms:
        return
    known = draft.state.subjects[reached.id]
    draft.add(
        SubjectLost(
            subject=known.subject,
            owner_key=known.owner_key,
            session=known.session,
            incarnation=known.incarnation,
            evidence=known.evidence,
        )
    )


_ANSWERS: Mapping[type[Record], Callable[[Draft[Watched], Envelope], None]] = {
    InstanceReady: _welcome_instance,
    InstanceStopping: _leave_stopping,
    InstanceEnded: _leave_ended,
    NodeAccepted: _welcome_node,
    NodeLost: _leave_node,
    LeaseMissed: _suspect,
    LeaseResumed: _trust,
    BudgetCrossed: alarm,
    BudgetSet: relieve,
    BudgetClosed: relieve,
}

WATCH: Role[Watched] = Role(
    name="health.watch",
    home="event",
    hears=frozenset(_ANSWERS),
    says=frozenset(FOLDS),
    initial=Watched,
    decide=decide,
    evolve=evolve,
    deadlines=lambda watched: watched.deadlines,
)
