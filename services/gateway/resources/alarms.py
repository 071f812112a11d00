"""/alarms: rules that are broken, or were."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from services.gateway.answer import Fresh, Page, Turning, show, shown
from services.gateway.caller import Caller, Calling, needs
from services.gateway.gateway import PREFIX, Behind
from services.gateway.rejection import NotFound
from services.gateway.resources.field import Name, Shown
from services.gateway.views.alarms import KeptAlarm

router = APIRouter(prefix=f"{PREFIX}/alarms", tags=["alarms"])


class AlarmShown(Shown):
    """One episode of a rule that is broken for a subject."""

    alarm_id: str
    rule: str
    subject: str
    owner: str
    severity: str
    raised_at: int
    cleared_at: int | None
    evidence: str


@router.get("", **shown(Page[AlarmShown], "Alarms, the oldest first."), **needs("viewer", "alarms:read"))
async def list_alarms(
    request: Request,
    gateway: Behind,
    caller: Calling,
    turn: Turning,
    all_: Annotated[bool, Query(alias="all", description="Those that are cleared too.")] = False,
    _fresh: None = Fresh,
) -> Response:
    """List alarms."""

    def keep(each: KeptAlarm) -> bool:
        return _is_seen(caller, each) and (all_ or not each.cleared_at_ms)

    return show(request, turn.page(gateway.reading.alarms.alarms, keep, _show))


@router.get("/{alarm_id}", **shown(AlarmShown, "The alarm."), **needs("viewer", "alarms:read"))
async def get_alarm(
    request: Request, gateway: Behind, caller: Calling, alarm_id: Annotated[Name, Path()], _fresh: None = Fresh
) -> Response:
    """Show one alarm."""
    found = gateway.reading.alarms.alarms.get(alarm_id)
    if found is None or not _is_seen(caller, found):
        raise NotFound(f"alarm {alarm_id}")
    return show(request, _show(found))


def _is_seen(caller: Caller, alarm: KeptAlarm) -> bool:
    """Whoever may see anything sees the pools; what belongs to a workspace is for those who see that."""
    return alarm.owner_key.startswith(("pool:", "_")) or caller.sees(alarm.owner_key)


def _show(alarm: KeptAlarm) -> AlarmShown:
    return AlarmShown(
        alarm_id=alarm.alarm_id,
        rule=alarm.rule,
        subject=alarm.subject,
        owner=alarm.owner_key,
        severity=alarm.severity,
        raised_at=alarm.raised_at_ms,
        cleared_at=alarm.cleared_at_ms or None,
        evidence=alarm.evidence,
    )
