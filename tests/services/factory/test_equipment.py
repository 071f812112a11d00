"""Instances are laid down from their profession before they start, and a budget holds what calls a model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from services.definitions.profession import Profession, Skill, Wording
from services.factory.profile import merge_parameters
from services.records.budget import TrancheGranted, TrancheRefused, UsageReported
from services.records.node import NodeJoined, NodeLeft, WorkerGone, WorkerStarted
from services.records.task import TaskAssigned, TaskCompleted, TaskFailed
from tests.eventually import eventually
from tests.services.factory.agents.endpoint import call, say, serving
from tests.services.factory.world import HEARD, World

TESTER = Profession(
    id="careful_tester",
    name=Wording(zh="细心的测试员", en="Careful Tester"),
    summary=Wording(en="Tests what others trust."),
    skills=(Skill(name="testing", level=8, description=Wording(en="finds what breaks")),),
    agent="command",
    parameters={"command": [sys.executable, "-I", "-c", "pass"], "colour": "red"},
    instructions=Wording(zh="先读再测。", en="Read first, then test."),
)
LOOK = """
import json, pathlib, sys
home = pathlib.Path.home()
read = {place.name: place.read_text() for place in (home / "profession").iterdir()}
print(json.dumps({"ok": True, "result": {"files": read, "colour": json.load(sys.stdin)["parameters"]["colour"]}}))
"""


async def test_an_instance_finds_its_profession_as_files_and_its_parameters(tmp_path: Path) -> None:
    async with World.open(tmp_path) as world, world.node():
        digest = await world.blobs.put(TESTER.to_json())
        order = await world.start(agent="", profession=TESTER.id, profession_digest=digest)
        parameters = {"command": [sys.executable, "-I", "-c", LOOK]}
        assigned = await world.assign(order, parameters=parameters, outputs=())
        end = await world.end_of(assigned)
        assert isinstance(end, TaskCompleted), end
        found = json.loads(end.result)
        assert found["colour"] == "red"
        assert set(found["files"]) == {"SOUL.md", "AGENTS.md", "IDENTITY.md", "profession.json"}
        assert "细心的测试员 / Careful Tester" in found["files"]["SOUL.md"]
        assert "先读再测。" in found["files"]["AGENTS.md"]
        assert "testing, level 8 of 10: finds what breaks" in found["files"]["AGENTS.md"]
        assert Profession.from_json(found["files"]["profession.json"].encode()) == TESTER


async def test_a_profession_that_cannot_be_read_starts_no_worker(tmp_path: Path) -> None:
    async with World.open(tmp_path) as world, world.node():
        await world.start(agent="command", profession_digest="sha256:" + "0" * 64, ready=False)
        gone = await world.first(WorkerGone)
        assert gone.step == "profession"
        assert "cannot be read" in gone.reason


@pytest.mark.parametrize(
    ("stage", "model", "url", "agent", "merged"),
    [
        ({}, "", "", "model", {"model": "gpt-x"}),
        ({}, "mine", "http://h/v1", "model", {"model": "mine", "base_url": "http://h/v1"}),
        ({"model": "stage", "base_url": "s"}, "mine", "http://h/v1", "openclaw", {"model": "stage", "base_url": "s"}),
        ({}, "", "http://h/v1", "claude", {}),
        ({}, "mine", "", "codex", {"model": "mine"}),
        ({"command": ["x"]}, "mine", "http://h/v1", "command", {"command": ["x"]}),
    ],
)
def test_what_a_stage_says_wins(stage: object, model: str, url: str, agent: str, merged: object) -> None:
    profession = TESTER.model_copy(
        update={"parameters": None, "config": TESTER.config.model_copy(update={"preferred_model": "gpt-x"})}
    )
    assert json.loads(merge_parameters(json.dumps(stage), profession, model, url, agent)) == merged


def granted(assigned: TaskAssigned, number: int, tokens: int) -> TrancheGranted:
    return TrancheGranted(
        **named(assigned), number=number, tokens=tokens, cost_micros=-1, subjects=("workspace",), expires_at_ms=1 << 50
    )


def named(assigned: TaskAssigned) -> dict[str, str]:
    return {
        **{name: getattr(assigned, name) for name in ("workspace_id", "attempt_id", "instance_id")},
        "node_id": assigned.node_id,
        "node_session": assigned.node_session,
        "run_id": assigned.work.run_id,
    }


async def test_a_model_whose_budget_is_used_up_makes_no_further_call(tmp_path: Path) -> None:
    pytest.importorskip("openai", reason="the extra `model` is not installed")
    heard = {**HEARD, "event": (NodeJoined, NodeLeft, WorkerStarted, WorkerGone, UsageReported)}
    write = ("write_file", json.dumps({"path": "outputs/out", "content": "half of it"}))
    async with World.open(tmp_path, **heard) as world, world.node():
        order = await world.start(agent="model")
        with serving(call(write), call(write), say("too late")) as endpoint:
            assigned = await world.assign(order, parameters={"model": "m", "base_url": endpoint.url}, budgeted=True)
            await world.owners.say(granted(assigned, 1, tokens=150), role="allocator.budgets")
            first = await world.first(UsageReported, timeout_s=60, number=1)
            refused = TrancheRefused(**named(assigned), number=2, subject="workspace", reason="all is spent")
            await world.owners.say(refused, role="allocator.budgets")
            end = await world.end_of(assigned, timeout_s=60)
        assert first.usage.input_tokens + first.usage.output_tokens == 214
        assert isinstance(end, TaskFailed)
        assert (end.code, end.reason) == ("budget", "all is spent")
        assert {each.name: each.inline for each in end.outputs}["out"] == b"half of it"
        assert end.usage.input_tokens == 200
        assert len(endpoint.requests) == 2
        await eventually(lambda: world.all(UsageReported, number=2, final=True), what="the last account")
