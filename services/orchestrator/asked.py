"""Asks about a run that is under way: which run that is, or why not."""

from __future__ import annotations

from bus.decider import Draft
from bus.record import Ask, Envelope
from services.orchestrator.run import Run, Runs
from services.records.permission import find_lack
from services.records.task import AskRefused


def asked_run(draft: Draft[Runs], heard: Envelope, workspace_id: str, run_id: str) -> Run | None:
    """The live run that an ask is about; None for one that was answered before or is refused hereby."""
    if heard.id in draft.state.seen:
        return None
    run = draft.state.live.get(run_id)
    lack = find_lack(heard.record) if isinstance(heard.record, Ask) else ""  # a fact was permitted before
    if run is not None and run.workspace_id == workspace_id and not lack:
        return run
    refuse_ask(draft, heard, workspace_id, run_id, lack or f"workspace `{workspace_id}` has no run {run_id} under way")
    return None


def refuse_ask(draft: Draft[Runs], heard: Envelope, workspace_id: str, run_id: str, reason: str) -> None:
    """Say why an ask leads to nothing."""
    draft.add(AskRefused(workspace_id=workspace_id, run_id=run_id, ask_id=heard.id, reason=reason))
