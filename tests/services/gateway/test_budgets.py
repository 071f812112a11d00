"""Budgets over HTTP: attempts start on a tranche, stop hard when it is not renewed, and keep what they have."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.records.event import BudgetCrossed, TrancheGranted, TrancheSettled
from services.records.task import TaskFailed
from tests.eventually import eventually
from tests.services.gateway.served import Reply, Served, served

SPENDING = r"""
import json, sys, time
order = json.load(sys.stdin)
open(order["outputs"]["report"]["path"], "w").write("half of it")
for spent in range(100, 100_000, 100):
    print(json.dumps({"usage": {"output_tokens": spent}}), file=sys.stderr, flush=True)
    time.sleep(0.05)
"""


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as found:
        yield found


async def limit(api: Served, subject: str, **amounts: int) -> Reply:
    return await api.call("PUT", "/budgets", {"subject": subject, **amounts})


async def budgets(api: Served) -> dict[str, dict[str, Any]]:
    return {each["subject"]: each for each in (await api.call("GET", "/budgets")).body["items"]}


def flow(**stage: Any) -> str:
    stages = [{"id": "spend", "profession": "researcher", "output": ["report"], **stage}]
    return json.dumps({"id": "spending", "stages": stages})


async def run(api: Served, workflow: str) -> dict[str, Any]:
    started = await api.call("POST", "/runs", {"workflow": workflow}, Prefer="wait=40")
    found = (await api.call("GET", f"/runs/{started.body['run_id']}")).body
    assert found["status"] != "running"
    return dict(found)


async def told(api: Served, kind: type) -> list[Any]:
    return [envelope.record async for envelope in api.system.bus.subscribe("event", [kind], live=False)]


async def test_what_a_script_says_it_used_is_spent_and_the_next_run_is_refused(api: Served) -> None:
    assert (await limit(api, "workspace", tokens=1_000)).status == 200
    script = {"script": [{"usage": {"input_tokens": 900, "output_tokens": 300}}]}
    first = await run(api, flow(agent="script", **{"with": script}))
    assert first["status"] == "completed"
    await eventually(lambda: spends(api, "workspace", 1_200))
    second = await run(api, flow(agent="script", **{"with": script}))
    assert second["status"] == "failed"
    assert "the budget of workspace is used up: 1200 of 1000 tokens are spent" in second["reason"]
    assert (await budgets(api))["workspace"]["refused"] == 1
    assert [each.percent for each in await told(api, BudgetCrossed)] == [50, 80, 100]

    async def alarmed() -> bool:
        items = (await api.call("GET", "/alarms")).body["items"]
        return {each["rule"] for each in items} == {"tokens_50", "tokens_80", "tokens_100"}

    await eventually(alarmed)


async def spends(api: Served, subject: str, tokens: int) -> bool:
    found = (await budgets(api)).get(subject, {"tokens": {"spent": -1, "granted": -1}})["tokens"]
    return bool((found["spent"], found["granted"]) == (tokens, 0))


async def test_an_attempt_whose_tranche_is_not_renewed_stops_and_keeps_what_it_has(api: Served) -> None:
    await limit(api, "run:*", tokens=800)
    command = ["python3", "-c", SPENDING]
    ended = await run(api, flow(agent="command", timeout="30s", **{"with": {"command": command}}))
    assert ended["status"] == "failed"
    assert "used up" in ended["reason"]
    assert [(each.number, each.tokens) for each in await told(api, TrancheGranted)][:2] == [(1, 50), (2, 50)]
    assert sum(each.tokens for each in await told(api, TrancheSettled)) >= 800
    (failed,) = [e.record async for e in api.system.bus.subscribe("task", [TaskFailed], live=False)]
    assert (failed.code, [content.inline for content in failed.outputs if content.name == "report"]) == (
        "budget",
        [b"half of it"],
    )


async def test_without_limits_nothing_waits_for_a_tranche_and_a_wrong_subject_is_refused(api: Served) -> None:
    assert (await run(api, flow(agent="script")))["status"] == "completed"
    assert not await told(api, TrancheGranted)
    wrong = await limit(api, "team", tokens=1)
    assert (wrong.status, "write workspace" in wrong.body["detail"]) == (409, True)


async def test_a_limit_that_is_taken_away_limits_nothing(api: Served) -> None:
    await limit(api, "workspace", tokens=0)
    assert (await run(api, flow(agent="script")))["status"] == "failed"
    await limit(api, "workspace")
    assert (await run(api, flow(agent="script")))["status"] == "completed"
    assert await budgets(api) == {}
