"""Instances, warm pools and nodes of a system that runs, as a person handles them."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.eventually import eventually_blocking
from tests.services.cli.conftest import Clawx
from tests.services.cli.program import Program, started

POET = """
profession:
  id: poet
  name: {en: Poet}
  skills: [{name: verse, level: %d}]
"""
POEM = "id: poem\nstages: [{id: write, profession: poet, skills: {verse: 8}, with: {script: [{delay: %s}]}}]\n"
STEPS = [
    *("profession", "template", "configuration", "allocation", "initialisation"),
    *("registration", "health_check", "pool", "ready"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of the one system that all tests here use."""
    return tmp_path_factory.mktemp("up") / "data"


@pytest.fixture(scope="module")
def system(data: Path) -> Iterator[Program]:
    with started("up", "--json", "--port", "0", data=data) as program:
        eventually_blocking(lambda: program.lines or program.process.poll() is not None, 120, "the URL and the key")
        assert program.lines, program.said
        yield program
        program.interrupt(signal.SIGTERM)
        assert program.end() == 0, program.said


def read(clawx: Clawx, *arguments: object) -> Any:
    done = clawx(*arguments, "--json")
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def named(clawx: Clawx, instance_id: str) -> dict[str, Any]:
    (found,) = read(clawx, "instances", "show", instance_id)
    return dict(found)


def test_an_instance_has_what_was_asked_for_it_and_tells_each_step(system: Program, clawx: Clawx) -> None:
    own = ("--class", "compute", "--cpu", "0.5", "--memory", "256Mi", "--tasks", "2", "--skill", "coding=10")
    (made,) = read(clawx, "instances", "create", "developer", "--name", "own", "--model", "m", "--team", "red", *own)
    shown = named(clawx, made["instance_id"])
    assert [step["step"] for step in shown["steps"]] == STEPS
    times = [step["at"] for step in shown["steps"]]
    assert times == sorted(times)
    details = {step["step"]: step["detail"] for step in shown["steps"]}
    assert "cpu_millis 500, memory_mib 256, storage_mib 51200" in details["configuration"]
    assert "slots 2, model m, coding 10, team red" in details["configuration"]
    assert clawx("instances", "destroy", "own").code == 0


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--class", "huge", "no resource class `huge`"),
        ("--memory", "lots", "such as 512Mi"),
        ("--skill", "coding", "NAME=LEVEL"),
        ("--skill", "coding=11", "between 1 and 10"),
    ],
)
def test_what_makes_no_sense_is_used_wrongly(system: Program, clawx: Clawx, option: str, value: str, says: str) -> None:
    ended = clawx("instances", "create", "developer", option, value)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert says in ended.err


def test_an_upgrade_waits_for_the_task_and_loses_none(
    system: Program, clawx: Clawx, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "poet.yaml").write_text(POET % 8)
    assert read(clawx, "professions", "add", tmp_path / "poet.yaml")[0]["version"] == 1
    (made,) = read(clawx, "instances", "create", "poet", "--name", "homer")
    (tmp_path / "poem.yaml").write_text(POEM % "4s")
    with started("run", str(tmp_path / "poem.yaml"), "--json", data=data) as running:
        eventually_blocking(lambda: any("write" in line for line in running.said), 60, "the stage to start")
        (tmp_path / "poet.yaml").write_text(POET % 9)
        assert read(clawx, "professions", "add", tmp_path / "poet.yaml")[0]["version"] == 2
        (upgraded,) = read(clawx, "instances", "upgrade", "homer")
        assert running.end() == 0, running.said
        (stage,) = running.last_json()["stages"]
    assert upgraded["instance_id"] == made["instance_id"]
    assert upgraded["status"] == "ready"
    assert upgraded["profession_digest"] != made["profession_digest"]
    assert (stage["status"], stage["attempts"]) == ("completed", 1)
    (restarted,) = read(clawx, "instances", "restart", "homer")
    assert restarted["profession_digest"] == upgraded["profession_digest"]
    (drained,) = read(clawx, "instances", "drain", "homer")
    assert drained["status"] == "stopped"
    assert clawx("instances", "restart", made["instance_id"]).code == 1


def test_a_warm_pool_is_kept_filled(system: Program, clawx: Clawx) -> None:
    size = ("--min", "2", "--max", "3", "--idle", "5s", "--cpu", "0.1", "--memory", "64Mi")
    (pool,) = read(clawx, "pools", "set", "editor", *size)
    assert (pool["profession"], pool["min"], pool["max"], pool["idle_s"]) == ("content_editor", 2, 3, 5.0)
    assert read(clawx, "pools", "list") == [pool]

    def ready() -> list[str]:
        found = read(clawx, "instances", "list")
        return [i["instance_id"] for i in found if (i["profession"], i["status"]) == ("content_editor", "ready")]

    eventually_blocking(lambda: len(ready()) == 2, 60, "both to be ready")
    first = ready()[0]
    assert clawx("instances", "destroy", first, "--force").code == 0
    eventually_blocking(lambda: len(ready()) == 2 and first not in ready(), 60, "another in its place")
    assert clawx("pools", "set", "editor", "--min", "0", "--max", "0").code == 0
    eventually_blocking(lambda: not ready(), 60, "none to be left")
    wrong = clawx("pools", "set", "editor", "--min", "3", "--max", "2")
    assert (wrong.code, wrong.err.count("\n")) == (1, 1)
    assert clawx("pools", "set", "editor", "--idle", "soon").code == 2


def test_a_cordoned_node_gets_nothing_new(system: Program, clawx: Clawx) -> None:
    (node,) = read(clawx, "nodes", "list")
    assert node["status"] == "ready"
    assert clawx("nodes", "cordon", node["node_id"], "--reason", "new disk").code == 0
    (after,) = read(clawx, "nodes", "list")
    assert (after["status"], after["reason"]) == ("cordoned", "new disk")
    refused = clawx("instances", "create", "developer")
    assert refused.code == 1
    assert "cordoned" in refused.err
    assert clawx("nodes", "uncordon", node["node_id"]).code == 0
    (made,) = read(clawx, "instances", "create", "editor", "--cpu", "0.1", "--memory", "64Mi")
    assert clawx("instances", "destroy", made["instance_id"]).code == 0
    wrong = clawx("nodes", "cordon", "nobody")
    assert (wrong.code, wrong.err.count("\n")) == (1, 1)


def test_top_shows_nodes_and_instances_once_and_again(system: Program, clawx: Clawx, data: Path) -> None:
    (made,) = read(clawx, "instances", "create", "editor", "--name", "shown", "--cpu", "0.1", "--memory", "64Mi")
    (found,) = read(clawx, "top", "--once")
    assert [node["status"] for node in found["nodes"]] == ["ready"]
    assert [each["name"] for each in found["instances"] if each["instance_id"] == made["instance_id"]] == ["shown"]
    assert clawx("top", "--once").out.count("shown") == 1

    def has_memory(program: Program) -> bool:
        rows = json.loads(program.lines[-1])["instances"] if program.lines else []
        return any(row["name"] == "shown" and row["memory_mib"] > 0 for row in rows)

    with started("top", "--json", "--every", "0.2", data=data) as watching:
        eventually_blocking(lambda: has_memory(watching), 60, "what the instance uses")
    assert clawx("instances", "destroy", "shown").code == 0
