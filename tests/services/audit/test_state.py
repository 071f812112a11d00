"""What a role knew at any point of a log, and how two points, two runs and two logs differ."""

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import pytest
import pytest_asyncio
from immutables import Map

from bus.address import view_log
from bus.channel import Partition
from bus.deadline import Deadlines
from bus.log import Log
from services.audit.aggregate import NoSuchAggregate, find_state
from services.audit.comparison import ABSENT, Change, compare
from services.audit.rehearsal import Point
from services.audit.rendering import render
from services.records import language_codec
from services.topology import ROLES
from tests.services.audit.recorded import Recorded
from tests.services.cli.conftest import Clawx

CODEC = language_codec()


@pytest_asyncio.fixture
async def log(recorded: Recorded) -> AsyncIterator[Log]:
    log = await view_log(recorded.url)
    yield log
    await log.close()


class Pair(NamedTuple):
    first: int
    second: Map[Any, str]


def test_a_state_is_shown_with_its_maps_in_order() -> None:
    shown = render(Pair(1, Map({(2, "b"): "x", "a": "y"})))
    assert shown == {"first": 1, "second": {'[2, "b"]': "x", "a": "y"}}
    assert list(render(Map({"b": 1, "a": 2}))) == ["a", "b"]
    assert render((Deadlines().set("d", 5), frozenset({2, 1}), b"\x01")) == [{"d": 5}, [1, 2], "01"]
    with pytest.raises(TypeError, match="no state holds a object"):
        render(object())


def test_values_are_compared_path_by_path() -> None:
    left, right = {"a": [1, {"b": 2}], "c": 0}, {"a": [1, {"b": 3}, 4], "d": 0}
    assert list(compare(left, right)) == [
        Change(path="a[1].b", left=2, right=3),
        Change(path="a[2]", left=ABSENT, right=4),
        Change(path="c", left=0, right=ABSENT),
        Change(path="d", left=ABSENT, right=0),
    ]
    assert not list(compare(left, left))
    assert list(compare(1, True))


async def test_a_run_is_seen_as_it_grows(log: Log, recorded: Recorded) -> None:
    last = await find_state(log, CODEC, f"run:{recorded.chain}")
    assert last.state is None, "what has ended is kept no more"
    shown = {}
    for offset in range(last.offset):
        found = await find_state(log, CODEC, f"run:{recorded.chain}", Point(offset=offset))
        if found.state:
            shown[offset] = tuple(sorted(found.state["artifacts"]))
    assert set(shown.values()) == {(), ("plan",), ("code", "plan"), ("code", "plan", "report")}
    assert list(shown.values()) == sorted(shown.values(), key=len)


async def test_a_time_is_a_point_too(log: Log, recorded: Recorded) -> None:
    name = f"run:{recorded.chain}"
    for offset in range(5, 30, 5):
        found = await find_state(log, CODEC, name, Point(offset=offset))
        if found.time_ms:
            later = await find_state(log, CODEC, name, Point(time_ms=found.time_ms))
            assert later.offset >= offset
            assert later.time_ms == found.time_ms
    assert (await find_state(log, CODEC, name, Point(time_ms=1))).state is None


async def test_every_role_can_be_shown_on_every_partition(log: Log) -> None:
    for role in ROLES:
        for number in range(log.partitions):
            found = await find_state(log, CODEC, f"role:{role.name}/{number}")
            assert json.loads(json.dumps(found.state)) == found.state
            assert found.home == Partition(role.home, number)


@pytest.mark.parametrize(
    ("name", "path"),
    [("pool:default", ("pool", "nodes")), ("roster:default", ("instances",)), ("watch:default", ())],
)
async def test_other_aggregates_are_found_by_their_names(log: Log, name: str, path: tuple[str, ...]) -> None:
    """While the runs of the log were under way: a step more or less of an instance's life does not matter."""
    states = [(await find_state(log, CODEC, name, Point(offset=offset))).state for offset in (30, 35, 40)]
    for part in path:
        states = [state[part] for state in states]
    assert any(states)


@pytest.mark.parametrize("name", ["run:nobody", "run:", "runs", "role:orchestrator.runs", "role:orchestrator.runs/99"])
async def test_what_is_not_there_is_told(log: Log, name: str) -> None:
    with pytest.raises(NoSuchAggregate):
        await find_state(log, CODEC, name)


def test_the_command_prints_the_state_and_the_course_of_a_run(clawx: Clawx, recorded: Recorded) -> None:
    ended = clawx("state", f"run:{recorded.chain}", "--data", recorded.data, "--json")
    found = json.loads(ended.out)
    assert found["run"]["status"] == "completed"
    assert found["run"]["executions"]["check#1"] == {"status": "completed", "attempts": 2, "reason": None}
    assert clawx("state", "run:nobody", "--data", recorded.data).code == 2


def test_two_points_of_a_run_differ_in_what_happened_between_them(clawx: Clawx, recorded: Recorded) -> None:
    name = f"run:{recorded.chain}"
    ended = clawx("diff", f"{name}@0", name, "--data", recorded.data, "--json")
    assert ended.code == 1
    paths = {json.loads(line)["path"] for line in ended.out.splitlines()}
    assert {"run.status", "run.artifacts.plan", "run.executions.design#1"} <= paths
    assert clawx("diff", name, "--data", recorded.data).code == 0


def test_two_runs_are_compared_by_their_course(clawx: Clawx, recorded: Recorded) -> None:
    same = clawx("diff", f"run:{recorded.chain}", f"run:{recorded.again}", "--data", recorded.data)
    assert (same.code, same.out) == (0, "")
    ended = clawx("diff", f"run:{recorded.chain}", f"run:{recorded.doomed}", "--data", recorded.data, "--json")
    changes = {line["path"]: line for line in map(json.loads, ended.out.splitlines())}
    assert (changes["status"]["left"], changes["status"]["right"]) == ("completed", "failed")
    assert "right" not in changes["executions.design#1"]
    assert clawx("diff", f"run:{recorded.chain}", "pool:default", "--data", recorded.data).code == 2


def test_two_logs_are_compared_byte_by_byte(clawx: Clawx, recorded: Recorded, tmp_path: Path) -> None:
    shutil.copytree(recorded.data, tmp_path / "copy")
    other = f"sqlite:///{tmp_path / 'copy' / 'log'}"
    assert clawx("diff", "--data", recorded.data, "--with", other).code == 0
    connection = apsw.Connection(str(tmp_path / "copy" / "log" / "log.sqlite"))
    connection.execute("DELETE FROM records WHERE id = (SELECT max(id) FROM records WHERE id >> 40 = 4)")
    connection.close()
    ended = clawx("diff", "--data", recorded.data, "--with", other, "--json")
    (line,) = map(json.loads, ended.out.splitlines())
    assert ended.code == 1
    assert (line["position"].split("/")[:2], line["right"]) == (["task", "3"], None)
    assert clawx("diff", "--data", recorded.data).code == 2
