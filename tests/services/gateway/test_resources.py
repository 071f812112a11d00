"""What is asked for over HTTP happens, is answered with where it stands, and is shown by the next read."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.audit.why import EXPLAINED, Case, fold_cases
from tests.eventually import eventually
from tests.services.gateway.served import ANSWERING, ASKING, FLOW, OPEN, WAITING, Served, served


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as found:
        yield found


async def test_an_instance_is_made_shown_and_ended(api: Served) -> None:
    order = {
        "profession_id": "qa_engineer",
        "name": "tester",
        "config": {
            "model": "m",
            "max_concurrent": 2,
            "resource_quota": {"cpu": 0.5, "memory": "512Mi"},
            "quality_threshold": 0.5,
        },
        "collaboration": {"workspace_id": "w", "team_id": "t"},
    }
    made = await api.call("POST", "/instances", order, Prefer="wait=20")
    assert (made.status, made.body["status"]) == (201, "ready")
    assert set(made.body) == {"instance_id", "status", "endpoints", "created_at", "position"}
    assert made.headers["Preference-Applied"] == "wait=20"
    one = await api.call("GET", made.headers["Location"].removeprefix("/api/v1"))
    assert one.body["endpoints"]["api"] == api.url + made.headers["Location"]
    assert (one.body["name"], one.body["workspace_id"], one.body["status"]) == ("tester", "w", "ready")
    listed = await api.call("GET", "/instances?workspace_id=w")
    assert [each["instance_id"] for each in listed.body["items"]] == [made.body["instance_id"]]
    quotas = (await api.call("GET", "/quotas")).body["items"]
    assert [
        (q["workspace_id"], q["granted"]["cpu"], q["granted"]["memory_mib"], q["granted"]["slots"]) for q in quotas
    ] == [("w", 0.5, 512, 2)]
    gone = await api.call("DELETE", f"/instances/{made.body['instance_id']}", Prefer="wait=20")
    assert gone.status == 202
    after = await api.call("GET", f"/instances/{made.body['instance_id']}?after={gone.body['position']}")
    assert after.body["status"] == "stopped"
    assert (await api.call("GET", "/quotas")).body["items"] == []


async def test_an_instance_is_restarted_upgraded_and_drained(api: Served) -> None:
    order = {"profession_id": "editor", "config": {"resource_quota": {"cpu": 0.1, "memory": "64Mi"}}}
    made = (await api.call("POST", "/instances", order, Prefer="wait=20")).body["instance_id"]
    for change in ("restart", "upgrade"):
        done = await api.call("POST", f"/instances/{made}/{change}", {"reason": "tools"}, Prefer="wait=20")
        assert (done.status, done.headers["Preference-Applied"]) == (202, "wait=20")
        now = (await api.call("GET", f"/instances/{made}?after={done.body['position']}")).body
        assert now["status"] == "ready"
        assert now["steps"][-1]["step"] == "ready"
    assert (await api.call("POST", f"/instances/{made}/drain")).status == 202

    async def has_stopped() -> bool:
        return bool((await api.call("GET", f"/instances/{made}")).body["status"] == "stopped")

    await eventually(has_stopped, 60, "the instance to end")
    assert (await api.call("POST", f"/instances/{made}/restart")).status == 409
    assert (await api.call("POST", "/instances/nobody/drain")).status == 404


async def test_a_warm_pool_is_set_and_shown(api: Served) -> None:
    done = await api.call("PUT", "/pools/w/editor", {"min": 1, "max": 2, "idle_s": 5, "resource_class": "light"})
    assert done.status == 200
    (pool,) = (await api.call("GET", f"/pools?after={done.body['position']}")).body["items"]
    assert (pool["profession_id"], pool["min"], pool["max"], pool["idle_s"]) == ("content_editor", 1, 2, 5.0)
    wrong = await api.call("PUT", "/pools/w/editor", {"min": 3, "max": 2})
    assert (wrong.status, "min <= max" in wrong.body["detail"]) == (409, True)
    assert (await api.call("PUT", "/pools/w/editor", {"resource_class": "huge"})).status == 422


async def test_a_run_is_started_followed_and_its_artifacts_downloaded(api: Served) -> None:
    started = await api.call("POST", "/runs", {"workflow": FLOW, "inputs": {"name": "world"}}, Prefer="wait=30")
    assert (started.status, started.body["status"]) == (201, "completed")
    run = await api.call("GET", f"/runs/{started.body['run_id']}")
    assert [stage["status"] for stage in run.body["stages"]] == ["completed"]
    digest = run.body["outputs"]["greeting"]["sha256"]
    assert digest == hashlib.sha256(b"hello").hexdigest()
    content = await api.call("GET", f"/runs/{started.body['run_id']}/artifacts/{digest}")
    assert content.body == b"hello"
    listed = await api.call("GET", f"/runs/{started.body['run_id']}/artifacts")
    assert [(each["name"], each["version"]) for each in listed.body["items"]] == [("greeting", 1)]
    trace = await api.call("GET", f"/runs/{started.body['run_id']}/trace")
    assert trace.body["type"] == "RunRequested"
    assert "StageCompleted" in str(trace.body)


async def test_a_run_is_signalled_and_another_cancelled(api: Served) -> None:
    first, second = [(await api.call("POST", "/runs", {"workflow": WAITING})).body["run_id"] for _ in "ab"]
    assert (await api.call("POST", f"/runs/{first}/signals", {"name": "go"})).status == 202
    wrong = await api.call("POST", f"/runs/{second}/signals", {"name": "stop"})
    assert (wrong.status, "stop" in wrong.body["detail"]) == (409, True)
    ended = await api.call("POST", f"/runs/{second}/cancel", {"reason": "enough"}, Prefer="wait=20")
    assert (ended.status, ended.body["status"]) == (202, "cancelled")
    await eventually(lambda: _status(api, first, "completed"))


async def _status(api: Served, run_id: str, status: str) -> bool:
    return bool((await api.call("GET", f"/runs/{run_id}")).body["status"] == status)


async def test_people_answer_tasks_and_vote(api: Served) -> None:
    run_id = (await api.call("POST", "/runs", {"workflow": ASKING})).body["run_id"]

    async def waiting(noun: str) -> list[dict[str, str]]:
        return list((await api.call("GET", f"/{noun}?run_id={run_id}")).body["items"])

    [task] = await eventually(lambda: waiting("tasks"))
    answered = await api.call("POST", f"/tasks/{task['task_id']}/answer", {"outputs": {"verdict": "good"}})
    assert (answered.status, answered.body["run_id"]) == (200, run_id)
    [review] = await eventually(lambda: waiting("reviews"))
    refused = await api.call("POST", f"/reviews/{review['review_id']}/votes", {"approve": True})
    assert refused.status == 409
    vote = {"approve": True, "roles": ["role:lead"]}
    voted = await api.call("POST", f"/reviews/{review['review_id']}/votes", vote)
    assert voted.status == 201
    await eventually(lambda: _status(api, run_id, "completed"))


async def test_a_message_is_sent_received_answered_and_listed(api: Served) -> None:
    await api.call("POST", "/runs", {"workflow": ANSWERING})
    draft = {
        "target_instance": "profession:qa_engineer",
        "message_type": "request",
        "payload": {"question": 6},
        "context": {"priority": 3, "requires_ack": True},
        "expires_in": "10m",
    }
    sent = await api.call("POST", "/messages", draft, Idempotency_Key="once")
    assert sent.status == 201, sent.body
    again = await api.call("POST", "/messages", draft, Idempotency_Key="once")
    assert again.body == sent.body
    path = sent.headers["Location"].removeprefix("/api/v1")
    await eventually(lambda: _received(api, path))
    message = (await api.call("GET", path)).body
    assert (message["payload"], message["source_instance"]) == ({"question": 6}, "person:root")
    assert message["context"]["priority"] == 3
    answers = await api.call("GET", f"/messages?reply_to={message['message_id']}")
    assert [(each["payload"], each["status"]) for each in answers.body["items"]] == [({"answer": 42}, "kept")]


async def test_a_message_that_cannot_be_sent_is_answered_with_a_sentence(api: Served) -> None:
    for draft, status, words in (
        ({"target_instance": "bob", "message_type": "gossip"}, 422, "no message type 'gossip'"),
        ({"target_instance": "bob", "expires_in": "soon"}, 422, "soon"),
        ({"target_instance": "room:one"}, 409, "is no address"),
        ({"target_instance": "x" * 201}, 422, "target_instance"),
    ):
        refused = await api.call("POST", "/messages", draft)
        assert (refused.status, words in refused.body["detail"]) == (status, True), refused.body
    assert (await api.call("GET", "/messages/unknown")).status == 404


async def _received(api: Served, path: str) -> bool:
    return bool((await api.call("GET", path)).body["status"] == "received")


async def test_a_schedule_is_made_triggered_shown_paused_and_deleted(api: Served) -> None:
    draft = {"schedule_id": "nightly", "workflow": FLOW, "inputs": {"name": "world"}, "cron": "0 2 * * *"}
    made = await api.call("POST", "/schedules", {**draft, "time_zone": "Asia/Shanghai"})
    assert (made.status, made.body["answer"]) == (201, "ScheduleCreated"), made.body
    again = await api.call("POST", "/schedules", draft)
    assert (again.status, "already" in again.body["detail"]) == (409, True)
    path = made.headers["Location"].removeprefix("/api/v1")
    started = await api.call("POST", "/schedules/nightly/trigger")
    assert (started.status, started.body["answer"]) == (200, "ScheduledRunRequested")

    async def ended() -> Any:
        shown = (await api.call("GET", path)).body
        return shown if [each["status"] for each in shown["starts"]] == ["completed"] else None

    shown = await eventually(ended)
    assert (shown["time_zone"], shown["overlap"], shown["started"]) == ("Asia/Shanghai", "skip", 1)
    run = (await api.call("GET", f"/runs/{shown['starts'][0]['run_id']}")).body
    assert run["status"] == "completed"
    assert (await api.call("POST", "/schedules/nightly/pause")).status == 200
    listed = (await api.call("GET", "/schedules")).body["items"]
    assert [(each["schedule_id"], each["status"], each["next_due_at"]) for each in listed] == [
        ("nightly", "paused", None)
    ]
    assert (await api.call("POST", "/schedules/nightly/resume")).status == 200
    assert (await api.call("DELETE", "/schedules/nightly")).status == 200
    assert (await api.call("GET", "/schedules")).body["items"] == []
    assert (await api.call("DELETE", "/schedules/nightly")).status == 409


async def test_what_is_no_schedule_is_answered_with_a_sentence(api: Served) -> None:
    draft = {"schedule_id": "x", "workflow": FLOW, "inputs": {"name": "world"}}
    for more, status, words in (
        ({}, 409, "either a cron expression or an interval"),
        ({"cron": "0 25 * * *"}, 409, "bad hour"),
        ({"every": "soon"}, 422, "soon"),
        ({"every": "10m", "time_zone": "Mars"}, 409, "no time zone"),
    ):
        refused = await api.call("POST", "/schedules", {**draft, **more})
        assert (refused.status, words in refused.body["detail"]) == (status, True), refused.body


async def test_the_same_key_gives_the_same_answer_and_never_that_of_another_call(api: Served) -> None:
    body = {"workflow": WAITING, "workspace_id": "w"}
    first = await api.call("POST", "/runs", body, Idempotency_Key="k")
    again = await api.call("POST", "/runs", body, Idempotency_Key="k")
    assert (again.status, again.body) == (201, first.body)
    other = await api.call("POST", "/runs", {**body, "workspace_id": "v"}, Idempotency_Key="k")
    assert (other.status, "another call" in other.body["detail"]) == (422, True)
    assert len((await api.call("GET", "/runs")).body["items"]) == 1
    assert (await api.call("POST", "/runs", body)).body["run_id"] != first.body["run_id"]


async def test_pages_follow_one_another_and_miss_nothing(api: Served) -> None:
    made = [(await api.call("POST", "/runs", {"workflow": WAITING})).body["run_id"] for _ in range(5)]
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = (await api.call("GET", f"/runs?limit=2&cursor={cursor}")).body
        assert len(page["items"]) <= 2
        seen += [each["run_id"] for each in page["items"]]
        cursor = page["next_cursor"]
    assert seen == made


async def test_what_has_not_changed_is_not_sent_again(api: Served) -> None:
    first = await api.call("GET", "/professions")
    again = await api.call("GET", "/professions", If_None_Match=first.headers["ETag"])
    assert (again.status, again.body) == (304, b"")
    assert (await api.call("GET", "/professions", If_None_Match='"other"')).status == 200


async def test_a_profession_is_added_and_shown(api: Served) -> None:
    text = "id: poet\nname: Poet\nskills:\n  - {name: verse, level: 5, description: Writes verse}\n"
    added = await api.call("POST", "/professions", {"definition": text})
    assert added.status == 201
    shown = await api.call("GET", f"/professions/poet?after={added.body['position']}")
    assert (shown.body["version"], shown.body["digest"]) == (1, added.body["digest"])
    wrong = await api.call("POST", "/professions", {"definition": "id: poet\n"})
    assert (wrong.status, bool(wrong.body["problems"])) == (422, True)


async def test_a_workflow_is_judged_before_it_runs(api: Served) -> None:
    assert (await api.call("POST", "/workflows/validate", {"workflow": FLOW})).body["valid"] is True
    wrong = (await api.call("POST", "/workflows/validate", {"workflow": FLOW.replace("qa_", "qx_")})).body
    assert (wrong["valid"], [each["line"] > 0 for each in wrong["problems"]]) == (False, [True])
    assert (await api.call("POST", "/runs", {"workflow": "id: x\n"})).status == 422


async def test_nodes_are_shown_and_cordoned(api: Served) -> None:
    async def listed() -> list[dict[str, str]]:
        return list((await api.call("GET", "/nodes")).body["items"])

    [node] = await eventually(listed)
    assert (node["node_id"], node["status"]) == ("here", "ready")
    written = await api.call("POST", "/nodes/default/here/cordon", {"cordoned": True, "reason": "repair"})
    shown = await api.call("GET", f"/nodes/default/here?after={written.body['position']}")
    assert (shown.body["status"], shown.body["reason"]) == ("cordoned", "repair")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/runs/run-0", 404),
        ("GET", "/instances/none", 404),
        ("GET", "/alarms/none", 404),
        ("GET", "/runs?cursor=x", 422),
        ("GET", "/runs?limit=0", 422),
        ("GET", "/runs?after=task/0/99999999", 422),
        ("GET", "/runs?after=tusk/0/1", 422),
        ("PUT", "/runs", 405),
        ("GET", "/nothing", 404),
        ("POST", "/runs", 422),
    ],
)
async def test_every_refusal_is_a_problem(api: Served, method: str, path: str, status: int) -> None:
    found = await api.call(method, path)
    assert (found.status, found.body["status"]) == (status, status)
    assert found.headers["Content-Type"] == "application/problem+json"
    assert found.body["detail"]


async def test_a_task_without_a_profession_is_explained_and_one_in_doubt_is_asked_for(api: Served) -> None:
    run_id = (await api.call("POST", "/runs", {"workflow": OPEN})).body["run_id"]

    async def in_doubt() -> list[dict[str, str]]:
        return list((await api.call("GET", f"/reviews?run_id={run_id}&status=open")).body["items"])

    [review] = await eventually(in_doubt)
    assert "look into the thing" in review["question"]
    wrong = await api.call("POST", f"/reviews/{review['review_id']}/votes", {"approve": True, "choice": "cook"})
    assert (wrong.status, "none of the choices" in wrong.body["detail"]) == (409, True)
    choice = {"approve": True, "choice": "data_analyst"}
    assert (await api.call("POST", f"/reviews/{review['review_id']}/votes", choice)).status == 201
    await eventually(lambda: _status(api, run_id, "completed"))
    trace = str((await api.call("GET", f"/runs/{run_id}/trace")).body)
    tasks = {case.stage: task_id for task_id, case in await _cases(api, run_id)}
    words = (await api.call("GET", f"/tasks/{tasks['words']}/why")).body["attempts"][0]
    assert words["pick"]["ranked"][0]["profession"] == "technical_writer"
    assert {reason["part"] for reason in words["reasons"]} == {"success", "load"}
    assert "as technical_writer" in trace
    doubt = (await api.call("GET", f"/tasks/{tasks['doubt']}/why")).body["attempts"][0]
    assert doubt["pick"]["chosen_by"]
    assert "data_analyst" in doubt["choices"]
    assert (await api.call("GET", "/tasks/nobody/why")).status == 404


async def _cases(api: Served, run_id: str) -> list[tuple[str, Case]]:
    records = api.system.bus.subscribe("task", EXPLAINED, live=False)
    found = fold_cases([envelope async for envelope in records])
    return [(task_id, case) for task_id, case in found.items() if case.run_id == run_id]
