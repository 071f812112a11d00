"""Provision: when tasks wait that no instance will take, the roster asks for one more."""

from bus.decider import Draft
from services.records.content import Work
from services.records.task import InstanceNeeded
from services.router.crew import Crew, has_free, is_hoped_for, is_possible
from services.router.instance import Instance
from services.router.roster_state import Roster, Rosters, Waiting

ON_DEMAND_MAX = 4
"""Most instances of a profession that a workspace has on demand, those on their way included; unless its warm pool says
otherwise."""

ON_DEMAND_TOTAL_MAX = 24
"""Most instances on demand of all professions without a warm pool in a workspace, those on their way included."""

REFUSAL_MS = 10_000
"""How long no instance more is asked for after a refusal, if tasks can be done by those that are there."""


def need_more(draft: Draft[Rosters], workspace_id: str, profession: str) -> None:
    """Ask for an instance for each agent that tasks of this profession wait for, where that is needed."""
    crew = draft.state.of(workspace_id).crew(profession)
    for agent in sorted({demand.agent for demand in crew.demands}):
        need_one(draft, workspace_id, profession, agent)


def need_in_turn(draft: Draft[Rosters], workspace_id: str, left: Instance) -> None:
    """An instance is gone: if it was made on demand, other professions may have waited for its place."""
    need_more(draft, workspace_id, left.profession)
    if left.on_demand:
        crews = draft.state.of(workspace_id).crews
        for profession in sorted(crews):
            if profession != left.profession and crews[profession].demands:
                need_more(draft, workspace_id, profession)


def need_one(draft: Draft[Rosters], workspace_id: str, profession: str, agent: str) -> None:
    """Ask for an instance with this agent, unless one is free or on its way, or there are enough on demand."""
    roster = draft.state.of(workspace_id)
    crew = roster.crew(profession)
    if crew.size:
        enough = _made_for(crew) >= crew.size[0]
    else:
        enough = _made_for(crew) >= ON_DEMAND_MAX or _made(roster) >= ON_DEMAND_TOTAL_MAX
    vain = is_possible(crew, agent) and draft.now_ms < crew.refused_at_ms + REFUSAL_MS
    if not (enough or vain or is_hoped_for(crew, agent) or has_free(crew, agent)):
        draft.add(_need(draft, workspace_id, profession, agent, crew))


def _made_for(crew: Crew) -> int:
    return len(crew.needs) + len(crew.on_demand)


def _made(roster: Roster) -> int:
    return sum(_made_for(crew) for crew in roster.crews.values() if crew.size is None)


def _need(draft: Draft[Rosters], workspace_id: str, profession: str, agent: str, crew: Crew) -> InstanceNeeded:
    tasks = sum(len(demand.ranks) for demand in crew.demands if demand.agent == agent)
    wanted = [demand.ranks.first() for demand in crew.demands if demand.agent == agent]
    work = next(_work_of(draft, workspace_id, first[1]) for first in wanted if first)
    wait = "1 task waits" if tasks == 1 else f"{tasks} tasks wait"
    return InstanceNeeded(
        workspace_id=workspace_id,
        need_id=draft.new_id("need", workspace_id, profession, agent),
        profession=profession,
        agent=agent,
        profession_digest=work.professions.get(profession, ""),
        reason=f"{wait} for {profession}{f' with agent {agent}' if agent else ''} and none is free or on its way",
    )


def _work_of(draft: Draft[Rosters], workspace_id: str, attempt_id: str) -> Work:
    waiting = draft.state.of(workspace_id).attempts[attempt_id]
    assert isinstance(waiting, Waiting), f"attempt {attempt_id} stands in the queue but does not wait"
    return waiting.work
