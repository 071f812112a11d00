"""Leases, lost subjects and alarms on the EventChannel."""

from bus.record import Fact, Record, Report

# Reports of the health monitor, then facts of health.watch.


class LeaseMissed(Report, channel="event"):
    """Telemetry was read to its end and a lease has run out."""

    subject: str  # "instance:ID" or "node:ID"
    owner_key: str  # the partition key of the subject: its workspace or pool
    session: str  # of the node
    incarnation: int = 0
    last_seen_ms: int
    lease_ms: int
    evidence: str = ""

    def key(self) -> str:
        return self.owner_key


class LeaseResumed(Report, channel="event"):
    """A subject that had missed its lease was heard again."""

    subject: str
    owner_key: str
    session: str
    incarnation: int = 0
    seen_ms: int

    def key(self) -> str:
        return self.owner_key


class SubjectWatched(Fact, channel="event"):
    """This session and incarnation of a subject must keep its lease from here on."""

    subject: str
    owner_key: str
    session: str
    incarnation: int = 0

    def key(self) -> str:
        return self.owner_key


class SubjectUnwatched(Fact, channel="event"):
    """Nothing is expected of this session and incarnation of a subject any more."""

    subject: str
    owner_key: str
    session: str
    incarnation: int = 0
    reason: str = ""

    def key(self) -> str:
        return self.owner_key


class SubjectLate(Fact, channel="event"):
    """A subject has missed its lease; it is lost if it stays silent until `lost_at_ms`."""

    subject: str
    owner_key: str
    session: str
    incarnation: int = 0
    lost_at_ms: int
    evidence: str = ""
    seen_ms: int = 0

    def key(self) -> str:
        return self.owner_key


class SubjectLost(Fact, channel="event"):
    """A subject stayed silent too long; the owner of its life acts on it."""

    subject: str
    owner_key: str
    session: str
    incarnation: int = 0
    evidence: str = ""

    def key(self) -> str:
        return self.owner_key


class SubjectRecovered(Fact, channel="event"):
    """A late subject was heard again before it was lost."""

    subject: str
    owner_key: str
    session: str
    incarnation: int = 0
    seen_ms: int = 0

    def key(self) -> str:
        return self.owner_key


class AlarmRaised(Fact, channel="event"):
    """A rule is broken for a subject: raised once per episode, with evidence."""

    alarm_id: str
    rule: str
    subject: str
    owner_key: str
    severity: str = "warning"
    evidence: str = ""

    def key(self) -> str:
        return self.owner_key


class AlarmCleared(Fact, channel="event"):
    """The episode of an alarm is over."""

    alarm_id: str
    rule: str
    subject: str
    owner_key: str
    evidence: str = ""

    def key(self) -> str:
        return self.owner_key


RECORDS: tuple[type[Record], ...] = (
    LeaseMissed,
    LeaseResumed,
    SubjectWatched,
    SubjectUnwatched,
    SubjectLate,
    SubjectLost,
    SubjectRecovered,
    AlarmRaised,
    AlarmCleared,
)
