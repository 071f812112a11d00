"""The main job by the real command, on both logs: the report on a source tree, its outputs, its trace."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.system.aftermath import check_laws
from tests.system.fleet import Fleet, Program, fleet, outcome
from tests.system.laws import broken_laws
from tests.system.raw_log import Schema, following, read_all
from tests.tidy.source_tree import ROOT

WORKFLOW = ROOT / "examples" / "source_report" / "workflow.yaml"
STAGES = [
    ("collect", 1, "completed"),
    ("analyse", 1, "completed"),
    ("write", 1, "completed"),
    ("edit", 1, "completed"),
    ("write", 2, "completed"),
    ("edit", 2, "completed"),
    ("done", 1, "completed"),
]
"""The first draft always breaks a rule of the house, so that the editor sends it back once."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small source tree to report on."""
    root = tmp_path_factory.mktemp("tree")
    for name in ("collect.py", "envelope.py", "tree.py", "report.css"):
        (root / name).write_bytes((WORKFLOW.parent / name).read_bytes())
    return root


def check_printed(printed: Mapping[str, Any]) -> None:
    """What `run --json` ends with, to the field."""
    assert list(printed) == ["run_id", "status", "outputs", "stages"]
    assert printed["status"] == "completed"
    versions = {name: output["version"] for name, output in printed["outputs"].items()}
    once = {"metrics": 1, "plot": 1, "statistics": 1}
    assert versions == {**once, "feedback": 2, "final_report": 2, "report": 2}
    for output in printed["outputs"].values():
        assert list(output) == ["version", "sha256", "path"]
        assert hashlib.sha256(Path(output["path"]).read_bytes()).hexdigest() == output["sha256"]
    for stage in printed["stages"]:
        fields = ["id", "execution", "status", "attempts", "instance_id", "started_at", "ended_at"]
        assert list(stage) == fields
        assert stage["started_at"] <= stage["ended_at"]
        assert (stage["attempts"], bool(stage["instance_id"])) == ((0, False) if stage["id"] == "done" else (1, True))
    ends = [stage["ended_at"] for stage in printed["stages"]]
    assert ends == sorted(ends)
    report = Path(printed["outputs"]["final_report"]["path"]).read_text()
    assert "<svg" in report
    assert "collect.py" in report


def nodes(tree: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All nodes of a trace, the root first."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(node["children"])


def check_trace(trace: Mapping[str, Any], run_id: str) -> None:
    """Each node of a trace, to the field; the tree holds what a run of six tasks must have led to."""
    fields = ["id", "type", "role", "time_ms", "channel", "partition", "offset", "cause"]
    fields += ["actor", "summary", "children"]
    for node in nodes(trace):
        assert list(node) == fields
    types = Counter(node["type"] for node in nodes(trace))
    assert trace["type"] == "RunRequested"
    assert next(node for node in nodes(trace) if node["type"] == "RunStarted")["summary"].startswith(run_id)
    assert types["TaskRequested"] == types["TaskAssigned"] == types["TaskCompleted"] == 6
    assert types["StageCompleted"] == 7
    assert types["InstanceNeeded"] == types["InstanceReady"] == types["CapacityGranted"] == 4
    assert types["RunStarted"] == types["RunEnded"] == 1


Shape = tuple[str, tuple[Any, ...]]


def shape(node: Mapping[str, Any]) -> Shape:
    """Type of a node and the shapes below it, in whichever order they came; but for settling, of which one record does
    for as many tasks as have ended by then."""
    return node["type"], tuple(sorted(shape(child) for child in node["children"] if child["type"] != "TasksSettled"))


async def run_report(system: Fleet, tree: Path) -> Program:
    """Run the report and give what it printed."""
    program = system.command("run", str(WORKFLOW), "--input", f"tree={tree}", "--json")
    assert await program.end() == 0, program.said()
    assert len(program.lines()) == 1
    check_printed(program.last_json())
    assert outcome(program) == STAGES
    return program


async def trace(system: Fleet, run_id: str) -> Mapping[str, Any]:
    """What `clawx trace --json` prints of a run."""
    program = await system.call("trace", run_id, "--json")
    assert program.process.returncode == 0, program.said()
    found: Mapping[str, Any] = json.loads(program.out.read_text())
    return found


async def test_the_report_on_the_embedded_log(embedded: Fleet, tree: Path, schemas: Mapping[str, Schema]) -> None:
    run_id = (await run_report(embedded, tree)).last_json()["run_id"]
    check_trace(await trace(embedded, run_id), run_id)
    raw = await read_all(embedded.settings.bus_url, embedded.namespace, schemas)
    assert not broken_laws(raw)


async def test_the_report_on_kafka_by_five_processes_has_the_same_trace(
    system: Fleet, tmp_path: Path, tree: Path, schemas: Mapping[str, Schema]
) -> None:
    run_id = (await run_report(system, tree)).last_json()["run_id"]
    found = await trace(system, run_id)
    check_trace(found, run_id)
    async with following(system.bus, system.namespace, schemas) as raw:
        await check_laws(raw)
    with fleet("", system.namespace, tmp_path / "embedded", started=False) as embedded:
        other = (await run_report(embedded, tree)).last_json()["run_id"]
        assert shape(found) == shape(await trace(embedded, other))
