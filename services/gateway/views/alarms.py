"""The alarms: raised, and cleared."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bus.record import Envelope, Record
from services.gateway.views.shelf import Shelf
from services.records.event import AlarmCleared, AlarmRaised

CLEARED_MAX = 10_000
"""Most alarms that are cleared and still shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAlarm:
    """One episode of a rule that is broken for a subject."""

    alarm_id: str
    rule: str
    subject: str
    owner_key: str
    severity: str
    raised_at_ms: int
    cleared_at_ms: int = 0
    evidence: str = ""


class AlarmView:
    """Every alarm that stands, and the newest of those that are cleared."""

    wants: tuple[type[Record], ...] = (AlarmRaised, AlarmCleared)

    def __init__(self) -> None:
        self.alarms: Shelf[KeptAlarm] = Shelf(lambda a: a.raised_at_ms, lambda a: a.cleared_at_ms > 0, CLEARED_MAX)

    def apply(self, envelope: Envelope) -> None:
        record = envelope.record
        if isinstance(record, AlarmRaised):
            self.alarms[record.alarm_id] = KeptAlarm(
                alarm_id=record.alarm_id,
                rule=record.rule,
                subject=record.subject,
                owner_key=record.owner_key,
                severity=record.severity,
                raised_at_ms=envelope.time_ms,
                evidence=record.evidence,
            )
        elif known := self.alarms.get(record.alarm_id):
            self.alarms[record.alarm_id] = replace(known, cleared_at_ms=envelope.time_ms)
