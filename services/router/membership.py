"""Decisions on instances: which the roster counts on, from the first word on one until it is gone."""

from bus.decider import Draft
from services.records import event, task
from services.router.assignment import assign_waiting
from services.router.instance import COMING, DRAINING, GONE, READY, Instance, changed, word_on
from services.router.loss import say_losses
from services.router.provision import need_in_turn, need_more
from services.router.roster_deadlines import IDLE, idle_ms_of, name_of
from services.router.roster_state import Rosters

REASON_CHARS_MAX = 300
"""Longest reason that is passed on, because it may stand in hundreds of facts of one decision."""


def accept(draft: Draft[Rosters], accepted: event.InstanceAccepted) -> None:
    """Count on an instance that will be made, so that no second one is asked for."""
    roster = draft.state.of(accepted.workspace_id)
    if accepted.instance_id in roster.instances or roster.memory(accepted.instance_id) is not None:
        return
    needs = [need.hope_id for need in roster.crew(accepted.profession).needs]
    draft.add(
        task.RosterChanged(
            workspace_id=accepted.workspace_id,
            instance_id=accepted.instance_id,
            status=COMING,
            profession=accepted.profession,
            agent=accepted.agent,
            slots=accepted.resources.slots,
            skills=accepted.skills,
            on_demand=accepted.on_demand,
            need_id=accepted.ask_id if accepted.ask_id in needs else "",
            terms=accepted.terms,
        )
    )


def welcome(draft: Draft[Rosters], ready: event.InstanceReady) -> None:
    """Take an instance on, give up what a worker before this one had, and assign what waits."""
    roster = draft.state.of(ready.workspace_id)
    known = roster.instances.get(ready.instance_id)
    worker = (ready.node_session, ready.incarnation)
    if (known and known.worker == worker) or roster.memory(ready.instance_id) == word_on(worker):
        return
    draft.add(
        task.RosterChanged(
            workspace_id=ready.workspace_id,
            instance_id=ready.instance_id,
            status=READY,
            profession=ready.profession,
            agent=ready.agent,
            node_id=ready.node_id,
            node_session=ready.node_session,
            incarnation=ready.incarnation,
            slots=ready.slots,
            skills=ready.skills,
            on_demand=ready.on_demand,
            reason="a new worker took the place of the one before" if known and known.attempts else "",
            terms=ready.terms,
        )
    )
    say_losses(draft, ready.workspace_id)
    assign_waiting(draft, ready.workspace_id, ready.profession)
    need_more(draft, ready.workspace_id, ready.profession)


def drain(draft: Draft[Rosters], draining: event.InstanceDraining) -> None:
    """Give an instance no more tasks, and say when it has none; also of one that was never ready."""
    roster = draft.state.of(draining.workspace_id)
    instance = roster.instances.get(draining.instance_id)
    if instance is None:
        if roster.memory(draining.instance_id) is None:
            draft.add(_vacancy(draining))
        return
    if instance.status == DRAINING:
        return
    draft.add(changed(draining.workspace_id, instance, DRAINING, _short(draining.reason)))
    if not instance.attempts:
        draft.add(_vacancy(draining))
    need_more(draft, draining.workspace_id, instance.profession)


def stop(draft: Draft[Rosters], stopping: event.InstanceStopping) -> None:
    """Take an instance off. Of one that was never ready, its end is waited for, which says how it went."""
    instance = draft.state.of(stopping.workspace_id).instances.get(stopping.instance_id)
    if instance and instance.node_session:
        _leave(draft, stopping.workspace_id, instance, _short(stopping.reason))
        need_in_turn(draft, stopping.workspace_id, instance)


def end(draft: Draft[Rosters], ended: event.InstanceEnded) -> None:
    """Take an instance off. When it could not be made, the next one is not asked for before the next task."""
    instance = draft.state.of(ended.workspace_id).instances.get(ended.instance_id)
    if instance is None:
        return
    reason = _short(_words_on(ended))
    _leave(draft, ended.workspace_id, instance, reason)
    if instance.node_session or ended.status == "stopped":
        need_in_turn(draft, ended.workspace_id, instance)
    elif draft.state.of(ended.workspace_id).crew(instance.profession).demands:
        _give_up(draft, ended.workspace_id, instance.profession, instance.need_id, "failed", reason)


def refuse(draft: Draft[Rosters], refused: event.InstanceRefused) -> None:
    """A need of the roster will not be met."""
    crews = draft.state.of(refused.workspace_id).crews
    for profession in sorted(crews):
        if any(need.hope_id == refused.ask_id for need in crews[profession].needs):
            _give_up(draft, refused.workspace_id, profession, refused.ask_id, "refused", _short(refused.reason))


def expire_need(draft: Draft[Rosters], workspace_id: str, subject: str) -> None:
    """Nobody has answered a need in time: ask again if tasks still wait."""
    need_id, _, profession = subject.partition(":")
    reason = "no word on the instance came in time"
    draft.add(
        task.NeedEnded(workspace_id=workspace_id, need_id=need_id, profession=profession, code="timeout", reason=reason)
    )
    need_more(draft, workspace_id, profession)


def resize(draft: Draft[Rosters], pool: event.WarmPoolSet) -> None:
    """Take note of a warm pool, and ask for what waits for it."""
    crew = draft.state.of(pool.workspace_id).crew(pool.profession)
    if crew.size != (pool.most, pool.idle_ms):
        draft.add(
            task.CrewSized(
                workspace_id=pool.workspace_id, profession=pool.profession, most=pool.most, idle_ms=pool.idle_ms
            )
        )
        need_more(draft, pool.workspace_id, pool.profession)


def release(draft: Draft[Rosters], workspace_id: str, instance_id: str) -> None:
    """An instance that was made on demand has been idle for so long that it may go."""
    due_ms = draft.state.deadlines.times[name_of(IDLE, workspace_id, instance_id)]
    roster = draft.state.of(workspace_id)
    idle_ms = draft.now_ms - due_ms + idle_ms_of(roster.crew(roster.instances[instance_id].profession))
    draft.add(task.InstanceIdle(workspace_id=workspace_id, instance_id=instance_id, idle_ms=idle_ms))


def _leave(draft: Draft[Rosters], workspace_id: str, instance: Instance, reason: str) -> None:
    draft.add(changed(workspace_id, instance, GONE, reason))
    say_losses(draft, workspace_id)


def _give_up(draft: Draft[Rosters], workspace_id: str, profession: str, need_id: str, code: str, reason: str) -> None:
    """No instance will come of this need; tasks that would wait for ever for one are lost."""
    draft.add(
        task.NeedEnded(workspace_id=workspace_id, need_id=need_id, profession=profession, code=code, reason=reason)
    )
    say_losses(draft, workspace_id)


def _vacancy(draining: event.InstanceDraining) -> task.InstanceVacated:
    return task.InstanceVacated(workspace_id=draining.workspace_id, instance_id=draining.instance_id)


def _words_on(ended: event.InstanceEnded) -> str:
    step = f" at {ended.step}" if ended.step else ""
    reason = f": {ended.reason}" if ended.reason else ""
    return f"the instance ended as {ended.status}{step}{reason}"


def _short(reason: str) -> str:
    return reason if len(reason) <= REASON_CHARS_MAX else f"{reason[: REASON_CHARS_MAX - 1]}…"
