"""Patterns of cycles, ends, many instances, state, cancelling and triggers, each played through the runs role."""

from services.records.task import RunCancelRequested, SignalRequested
from tests.services.orchestrator.patterns.catalogue import pattern
from tests.services.orchestrator.patterns.test_branching import asked
from tests.services.orchestrator.run_world import WORKSPACE, World, flow

LIST = "inputs: {list: {type: list, default: [1, 2, 3]}}\n"


def signalled(world: World, name: str) -> World:
    world.ask(SignalRequested(workspace_id=WORKSPACE, run_id=world.run_id, signal=name))
    return world


@pattern(10)
def test_arbitrary_cycles() -> None:
    """A cycle with two entries and two exits."""
    stages = """id: s, next: [{to: a, when: "result.a"}, {to: b, else: true}]
    id: a, join: any, next: [{to: b, when: "result.go"}, {to: x, else: true}]
    id: b, join: any, next: [{to: a, when: "result.go", max_times: 3}, {to: y, else: true}]
    id: x
    id: y"""
    world = World().run(flow(stages)).complete("s", {"a": False}).complete("b", {"go": True})
    assert asked(world) == ["a"]
    world.complete("a", {"go": True}).complete("b", {"go": True}).complete("a", {"go": False})
    assert asked(world) == ["x"]
    other = (
        World().run(flow(stages)).complete("s", {"a": True}).complete("a", {"go": True}).complete("b", {"go": False})
    )
    assert asked(other) == ["y"]


@pattern(21)
def test_structured_loop() -> None:
    stages = 'id: a, next: [b]\nid: b, next: [{to: a, when: "result.again", max_times: 9}, {to: c, else: true}]\nid: c'
    world = World().run(flow(stages))
    for again in (True, True, False):
        world.complete("a").complete("b", {"again": again})
    assert asked(world) == ["c"]
    assert [end for end in world.ends() if end[0] == "a"] == ["a1 completed", "a2 completed", "a3 completed"]


@pattern(11)
def test_implicit_termination() -> None:
    world = World().run(flow("id: a, next: [b, c]\nid: b\nid: c")).complete("a").complete("b")
    assert world.live is not None
    assert world.complete("c").end.status == "completed"


@pattern(43)
def test_explicit_termination() -> None:
    world = World().run(flow("id: a, next: [b, c]\nid: b\nid: c, kind: end, end: {status: completed}")).complete("a")
    assert world.end.status == "completed"
    assert "b1 cancelled" in world.ends()


@pattern(12)
def test_multiple_instances_without_synchronization() -> None:
    """What comes after the split does not wait for the items of the map."""
    world = World().run(flow("id: a, next: [m, z]\nid: m, map: {over: list}\nid: z", LIST), list=[1, 2])
    world.complete("a").go_on()
    assert asked(world) == ["m", "m", "z"]
    world.complete("z").complete("m")
    assert world.live is not None


@pattern(13)
def test_multiple_instances_known_at_design_time() -> None:
    world = World().run(flow("id: m, map: {over: list}, next: [z]\nid: z", LIST), list=[1, 2, 3]).go_on()
    assert asked(world) == ["m", "m", "m"]
    for _ in range(3):
        assert "z" not in asked(world)
        world.complete("m").go_on()
    assert asked(world) == ["z"]


@pattern(14)
def test_multiple_instances_known_at_run_time() -> None:
    stages = "id: a, output: [list], next: [m]\nid: m, map: {over: list, as: each}, next: [z]\nid: z"
    world = World().run(flow(stages)).complete("a", list=["x", "y"]).go_on()
    assert asked(world) == ["m", "m"]
    assert asked(world.complete("m").complete("m").go_on()) == ["z"]


@pattern(16)
def test_deferred_choice() -> None:
    stages = """id: call, kind: wait, wait: {signal: call}, choice: c, next: [a]
    id: mail, kind: wait, wait: {signal: mail}, choice: c, next: [b]
    id: a
    id: b"""
    world = signalled(World().run(flow(stages)), "mail")
    assert asked(world) == ["b"]
    assert {"call1 skipped", "a1 skipped"} <= set(world.ends())


@pattern(17, 40)
def test_interleaved_parallel_routing_and_interleaved_routing() -> None:
    """Never two at once, in any order that the edges allow: `b` before `c`, `d` whenever."""
    stages = (
        "id: a, next: [b, d]\nid: b, mutex: m, next: [c]\nid: c, mutex: m, next: [e]\nid: d, mutex: m, next: [e]\nid: e"
    )
    world = World().run(flow(stages)).complete("a")
    order = []
    while asked(world) != ["e"]:
        (stage,) = asked(world)
        order.append(stage)
        world.complete(stage)
    assert sorted(order) == ["b", "c", "d"]
    assert order.index("b") < order.index("c")


@pattern(39)
def test_critical_section() -> None:
    """A mutex on a subflow is held from its first stage to its last."""
    inner = "subflows:\n  part:\n    stages: [{id: x, profession: p, next: [y]}, {id: y, profession: p}]\n"
    stages = "id: a, kind: subflow, subflow: {id: part}, mutex: m\nid: b, kind: subflow, subflow: {id: part}, mutex: m"
    world = World().run(flow(stages) + inner)
    assert asked(world) == ["a/x"]
    assert asked(world.complete("a/x")) == ["a/y"]
    assert asked(world.complete("a/y").go_on()) == ["b/x"]


@pattern(18)
def test_milestone() -> None:
    """`extra` may begin once `open` has completed, and no longer when `close` has."""
    stages = """id: open, next: [close]
    id: close, cancel: [reached, extra]
    id: start, next: [reached]
    id: reached, kind: wait, wait: {stage: open}, next: [extra]
    id: extra"""
    world = World().run(flow(stages)).complete("start")
    assert asked(world) == ["open"]
    assert asked(world.complete("open")) == ["close", "extra"]
    late = World().run(flow(stages)).complete("open").complete("start").complete("close")
    assert late.end.status == "completed"
    assert "extra1 cancelled" in late.ends()


@pattern(19)
def test_cancel_task() -> None:
    world = World().run(flow("id: a, cancel: [b]\nid: b, next: [c]\nid: c")).complete("a")
    assert {"b1 cancelled", "c1 skipped"} <= set(world.ends())


@pattern(25)
def test_cancel_region() -> None:
    stages = "id: s, next: [a, b, k]\nid: a, next: [c]\nid: b, next: [c]\nid: c, join: all\nid: k, cancel: [a, b, c]"
    world = World().run(flow(stages)).complete("s").complete("a").complete("k")
    assert world.end.status == "completed"
    assert "b1 cancelled" in world.ends()
    assert not any(end == "c1 completed" for end in world.ends())


@pattern(20)
def test_cancel_case() -> None:
    world = World().run(flow("id: a, next: [c]\nid: b\nid: c"))
    world.ask(RunCancelRequested(workspace_id=WORKSPACE, run_id=world.run_id))
    world.go_on()
    assert world.end.status == "cancelled"
    assert {"a1 cancelled", "b1 cancelled"} <= set(world.ends())


@pattern(26)
def test_cancel_multiple_instance_activity() -> None:
    stages = "id: m, map: {over: list}, next: [z]\nid: z\nid: k, cancel: [m]"
    world = World().run(flow(stages, LIST), list=[1, 2]).go_on()
    assert asked(world) == ["k", "m", "m"]
    world.complete("k").go_on()
    assert world.end.status == "completed"
    assert {"m1[0] cancelled", "m1[1] cancelled", "m1 cancelled", "z1 skipped"} <= set(world.ends())


@pattern(23)
def test_transient_trigger() -> None:
    """A signal that nothing waits for is lost, and whoever sent it is told."""
    stages = "id: a, next: [w]\nid: w, kind: wait, wait: {signal: go}, next: [b]\nid: b"
    world = signalled(World().run(flow(stages)), "go")
    assert world.types() == ["AskRefused"]
    assert asked(world.complete("a")) == []
    assert asked(signalled(world, "go")) == ["b"]


@pattern(24)
def test_persistent_trigger() -> None:
    """A wait that stands beside the work from the start keeps its signal until the work has come so far."""
    stages = "id: a, next: [b]\nid: w, kind: wait, wait: {signal: go}, next: [b]\nid: b, join: all"
    world = signalled(World().run(flow(stages)), "go")
    assert asked(world) == ["a"]
    assert asked(world.complete("a")) == ["b"]
