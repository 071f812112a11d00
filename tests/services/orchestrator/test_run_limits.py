"""How many runs a workspace may have under way, and that their count is right whatever becomes of them."""

import pytest

from services.orchestrator import starting
from services.records.task import RunCancelRequested, RunRefused, RunStarted
from tests.services.orchestrator.run_world import WORKSPACE, World, flow

ONE = "id: a, output: [r]"


def test_a_workspace_at_its_limit_starts_no_run_and_others_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "RUNS_IN_WORKSPACE_MAX", 2)
    world = World()
    first = world.started(world.asking(flow(ONE)))
    world.started(world.asking(flow(ONE)))
    world.started(world.asking(flow(ONE)))
    (refused,) = world.last
    assert isinstance(refused, RunRefused)
    assert "2 runs are under way in the workspace" in refused.reason
    world.started(world.asking(flow(ONE)).model_copy(update={"workspace_id": "other"}))
    assert isinstance(world.last[0], RunStarted)
    world.hear(RunCancelRequested(workspace_id=WORKSPACE, run_id=first, reason="enough"))
    world.go_on()
    assert dict(world.state.counts) == {WORKSPACE: 1, "other": 1}
    world.started(world.asking(flow(ONE)))
    assert isinstance(world.last[0], RunStarted)
