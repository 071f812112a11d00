"""A run drawn over its definition shows what became of each stage, and which way it went."""

import json
from pathlib import Path

from bus.record import Record
from bus.testing import envelope
from services.audit.run_chart import CHARTED, RunChart
from services.definitions.workflow import Workflow
from services.diagram import Diagram
from tests.services.audit.recorded import CHAIN, Recorded
from tests.services.cli.conftest import Clawx
from tests.services.orchestrator.run_world import World, flow

FLOW = flow("""
    id: make, output: [thing], next: [check]
    id: check, input: [thing], next: [{to: make, when: "!result.ok", max_times: 3}, {to: done, when: "result.ok"}, {to: sorry, else: true}]
    id: done, output: [report]
    id: sorry
""")  # noqa: E501


def chart(world: World) -> RunChart:
    found = RunChart(world.run_id)
    records: list[Record] = [fact for fact in world.facts if isinstance(fact, CHARTED)]
    for record in records:
        found.apply(envelope(record))
    return found


def drawn(world: World) -> Diagram:
    found = chart(world)
    return found.draw(Workflow.from_json(world.blobs[found.definition]))


def test_states_counts_and_the_branches_taken_are_shown() -> None:
    world = World().run(FLOW).complete("make").complete("check", {"ok": False}).complete("make")
    world.complete("check", {"ok": True})
    found = drawn(world)
    boxes = {box.name: (box.state, box.lines[-1]) for box in found.boxes}
    assert boxes == {
        "make": ("completed", "2× completed"),
        "check": ("completed", "2× completed"),
        "done": ("active", "1× requested now"),
        "sorry": ("skipped", "1× skipped"),
    }
    arrows = {(each.source, each.target): (each.text, each.thick, each.quiet) for each in found.arrows}
    assert arrows == {
        ("make", "check"): ("2×", True, False),
        ("check", "make"): ("!result.ok, ≤ 3×, 1×", False, False),
        ("check", "done"): ("result.ok, 1×", True, False),
        ("check", "sorry"): ("else", False, True),
    }
    assert found.title == f"x: {world.run_id} running"


def test_what_runs_inside_a_stage_is_counted_on_its_own_level() -> None:
    inner = (
        "subflows:\n  inner:\n    stages:\n      - {id: a, profession: p, next: [b]}\n      - {id: b, profession: p}\n"
    )
    world = World().run(flow("id: s, kind: subflow, subflow: {id: inner}, next: [t]\nid: t") + inner)
    world.complete("s/a")
    found = drawn(world)
    assert {box.name: box.state for box in found.boxes} == {
        "s": "active", "t": "quiet", "s/a": "completed", "s/b": "active"
    }  # fmt: skip
    assert {(each.source, each.target): each.thick for each in found.arrows} == {
        ("s", "t"): False, ("s", "s/a"): False, ("s/a", "s/b"): True
    }  # fmt: skip


def test_a_failure_shows_even_if_the_stage_was_passed_over_later() -> None:
    world = World().run(FLOW).fail("make")
    assert {box.name: box.state for box in drawn(world).boxes}["make"] == "failed"


def test_records_of_other_runs_leave_no_mark() -> None:
    world = World().run(FLOW).complete("make")
    other = world.run_id
    world.run(FLOW)
    assert chart(world).progress.executions.keys() & {("make", 1, -1)}
    assert not any(box.state == "completed" for box in drawn(world).boxes)
    world.run_id = other
    assert any(box.state == "completed" for box in drawn(world).boxes)


def test_the_program_draws_runs_definitions_and_files(recorded: Recorded, clawx: Clawx, tmp_path: Path) -> None:
    show = ("workflows", "show", "--bus", recorded.url, "--data", recorded.data)
    run = clawx(*show, recorded.chain, "--mermaid")
    assert run.code == 0
    assert f'title: "chain: {recorded.chain} completed"' in run.out
    assert '["check<br/>qa_engineer<br/>1× completed"]:::completed' in run.out
    assert "digraph {" in clawx(*show, recorded.doomed, "--dot").out
    path = tmp_path / "chain.yaml"
    path.write_text(CHAIN)
    definition = clawx(*show, path, "--mermaid")
    assert clawx(*show, "chain", "--mermaid").out == definition.out
    digest = clawx(*show, "chain").out.splitlines()[0].split()[-1]
    assert clawx(*show, digest, "--mermaid").out == definition.out
    assert json.loads(clawx(*show, digest, "--json").out)["id"] == "chain"
    assert '"build<br/>software_developer"' in definition.out


def test_the_program_says_what_it_cannot_draw(recorded: Recorded, clawx: Clawx) -> None:
    show = ("workflows", "show", "--bus", recorded.url, "--data", recorded.data)
    assert clawx(*show, recorded.chain, "--mermaid", "--dot").err.strip().endswith("give one of them")
    unknown = clawx(*show, "run-nowhere", "--mermaid")
    assert (unknown.code, unknown.out) == (2, "")
    assert "there is no run run-nowhere" in unknown.err
    missing = clawx(*show, "sha256:" + "0" * 64)
    assert missing.code == 2
    assert "sha256:" in missing.err
    assert clawx(*show, "nowhere.yaml").code == 2
