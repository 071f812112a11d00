"""Forks, reruns, pauses and the cancel of a task, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services.gateway.served import Served, served

LINE = """
id: line
stages:
  - {id: say, profession: qa_engineer, agent: script, input: [name], output: [greeting], next: [add]}
  - {id: add, profession: qa_engineer, agent: script, input: [greeting, name], output: [end]}
"""


PAUSING = """
id: pausing
stages:
  - {id: gate, kind: wait, wait: {signal: go}, next: [say]}
  - {id: say, profession: qa_engineer, agent: script}
"""
HUMAN = "profession: qa_engineer, agent: human"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as found:
        yield found


async def test_a_run_is_forked_and_rerun(api: Served) -> None:
    first = await api.call("POST", "/runs", {"workflow": LINE, "inputs": {"name": "world"}}, Prefer="wait=30")
    assert first.body["status"] == "completed"
    old = first.body["run_id"]
    planned = await api.call("POST", f"/runs/{old}/rerun", {"stage": "add", "dry_run": True})
    assert planned.status == 200, planned.body
    assert planned.body["stages"] == [{"id": "say", "executions": 1, "completed": 1}]
    assert planned.body["anew"] == [{"id": "add", "execution": 1}]

    again = await api.call("POST", f"/runs/{old}/rerun", {"stage": "add"}, Prefer="wait=30", Idempotency_Key="k")
    assert (again.status, again.body["status"]) == (201, "completed")
    twice = await api.call("POST", f"/runs/{old}/rerun", {"stage": "add"}, Idempotency_Key="k")
    assert twice.body["run_id"] == again.body["run_id"]
    shown = await api.call("GET", f"/runs/{again.body['run_id']}")
    assert [stage["id"] for stage in shown.body["stages"]] == ["add"]
    assert shown.body["forked_from"]["run_id"] == old
    assert set(shown.body["outputs"]) == {"greeting", "end"}

    order = {"stage": "add", "inputs": {"name": "moon"}, "professions": {"add": "tester"}}
    forked = await api.call("POST", f"/runs/{old}/fork", order, Prefer="wait=30")
    assert (forked.status, forked.body["status"]) == (201, "completed"), forked.body
    before, after = [(await api.call("GET", f"/runs/{run}")).body["outputs"] for run in (old, forked.body["run_id"])]
    assert before["greeting"]["sha256"] == after["greeting"]["sha256"]
    assert before["end"]["sha256"] != after["end"]["sha256"]


async def test_what_does_not_go_is_refused_with_the_reason(api: Served) -> None:
    first = await api.call("POST", "/runs", {"workflow": LINE, "inputs": {"name": "world"}}, Prefer="wait=30")
    old = first.body["run_id"]
    wrong = await api.call("POST", f"/runs/{old}/fork", {"stage": "nix"})
    assert wrong.status == 409
    assert "in which `nix` began" in wrong.body["detail"]
    changed = LINE.replace("next: [add]", "next: [add, more]") + "  - {id: more, profession: qa_engineer}\n"
    wrong = await api.call("POST", f"/runs/{old}/fork", {"stage": "add", "workflow": changed})
    assert "`say` has ended, so its ways on cannot change" in wrong.body["detail"]
    assert (await api.call("POST", f"/runs/{old}/fork", {"stage": "add", "professions": {"x": "tester"}})).status == 422
    assert (await api.call("POST", "/runs/run-0/rerun", {"stage": "add"})).status == 404


async def test_a_run_is_paused_and_goes_on(api: Served) -> None:
    run = (await api.call("POST", "/runs", {"workflow": PAUSING})).body["run_id"]
    paused = await api.call("POST", f"/runs/{run}/pause", {"reason": "lunch"})
    assert (paused.status, paused.body["status"]) == (202, "paused")
    assert (await api.call("POST", f"/runs/{run}/pause", {"reason": ""})).status == 409
    assert (await api.call("POST", f"/runs/{run}/signals", {"name": "go"})).status == 202
    shown = await api.call("GET", f"/runs/{run}")
    assert (shown.body["status"], [stage["id"] for stage in shown.body["stages"]]) == ("paused", ["gate"])
    resumed = await api.call("POST", f"/runs/{run}/resume", Prefer="wait=30")
    assert (resumed.status, resumed.body["status"]) == (202, "completed")
    assert (await api.call("POST", f"/runs/{run}/resume")).status == 409


async def test_a_task_is_cancelled_and_what_follows_skipped(api: Served) -> None:
    run = (await api.call("POST", "/runs", {"workflow": PAUSING.replace("kind: wait, wait: {signal: go}", HUMAN)})).body
    (task,) = (await api.call("GET", "/tasks")).body["items"]
    order = {"task_id": task["task_id"], "reason": "enough"}
    assert (await api.call("POST", f"/runs/{run['run_id']}/cancel-task", order)).status == 202
    shown = await api.call("GET", f"/runs/{run['run_id']}")
    assert [stage["status"] for stage in shown.body["stages"]] == ["cancelled", "skipped"]
    assert (await api.call("POST", f"/runs/{run['run_id']}/cancel-task", order)).status == 409
