"""Patterns of splitting and joining, each played through the runs role."""

from tests.services.orchestrator.patterns.catalogue import pattern
from tests.services.orchestrator.run_world import World, flow


def asked(world: World) -> list[str]:
    """The stages that are at work."""
    return sorted(request.work.stage for request in world.open_requests())


@pattern(1)
def test_sequence() -> None:
    world = World().run(flow("id: a, next: [b]\nid: b"))
    assert asked(world) == ["a"]
    assert asked(world.complete("a")) == ["b"]
    assert world.complete("b").end.status == "completed"


@pattern(2, 3)
def test_parallel_split_and_synchronization() -> None:
    world = World().run(flow("id: a, next: [b, c]\nid: b, next: [d]\nid: c, next: [d]\nid: d, join: all"))
    assert asked(world.complete("a")) == ["b", "c"]
    assert asked(world.complete("c")) == ["b"]
    assert asked(world.complete("b")) == ["d"]


CHOICE = """id: a, choose: first, next: [\
    {to: b, when: "result.n > 1"}, {to: c, when: "result.n > 0"}, {to: d, else: true}]
    id: b, next: [e]
    id: c, next: [e]
    id: d, next: [e]
    id: e"""


@pattern(4, 5)
def test_exclusive_choice_and_simple_merge() -> None:
    world = World().run(flow(CHOICE)).complete("a", {"n": 2})
    assert asked(world) == ["b"]
    assert asked(world.complete("b")) == ["e"]
    assert world.complete("e").ends()[-1] == "e1 completed"
    assert asked(World().run(flow(CHOICE)).complete("a", {"n": 0})) == ["d"]


MULTI = """id: a, next: [{to: b, when: "result.b"}, {to: c, when: "result.c"}, {to: d, when: "result.d"}]
    id: b, next: [e]
    id: c, next: [e]
    id: d, next: [e]
    id: e, join: %s"""


@pattern(6, 7)
def test_multi_choice_and_structured_synchronizing_merge() -> None:
    world = World().run(flow(MULTI % "active")).complete("a", {"b": True, "c": False, "d": True})
    assert asked(world) == ["b", "d"]
    assert asked(world.complete("b")) == ["d"]
    assert asked(world.complete("d")) == ["e"]


@pattern(8)
def test_multi_merge() -> None:
    world = World().run(flow(MULTI % "each")).complete("a", {"b": True, "c": True, "d": False})
    world.complete("b").complete("c").complete("e").complete("e")
    assert [end for end in world.ends() if end.startswith("e")] == ["e1 completed", "e2 completed"]
    assert world.end.status == "completed"


@pattern(9)
def test_structured_discriminator() -> None:
    world = World().run(flow(MULTI % "any")).complete("a", {"b": True, "c": True, "d": True})
    assert asked(world.complete("c")) == ["b", "d", "e"]
    world.complete("e").complete("b").complete("d")
    assert [end for end in world.ends() if end.startswith("e")] == ["e1 completed"]


PARTIAL = """id: a, next: [b, c, d]
    id: b, next: [e]
    id: c, next: [e]
    id: d, next: [e]
    id: e, join: {at_least: %s}"""


@pattern(30)
def test_structured_partial_join() -> None:
    world = World().run(flow(PARTIAL % 2)).complete("a").complete("d")
    assert asked(world) == ["b", "c"]
    assert asked(world.complete("b")) == ["c", "e"]
    world.complete("c").complete("e")
    assert [end for end in world.ends() if end.startswith("e")] == ["e1 completed"]


@pattern(29, 32)
def test_cancelling_discriminator_and_partial_join() -> None:
    first = World().run(flow(PARTIAL % "1, rest: cancel")).complete("a").complete("c")
    assert asked(first) == ["e"]
    assert {"b1 cancelled", "d1 cancelled"} <= set(first.ends())
    second = World().run(flow(PARTIAL % "2, rest: cancel")).complete("a").complete("c")
    assert asked(second) == ["b", "d"]
    assert asked(second.complete("d")) == ["e"]
    assert "b1 cancelled" in second.ends()


QUEUED = """id: a, next: [b, c, d]
    id: b, next: [m]
    id: c, next: [m]
    id: m, join: each, next: [e]
    id: d, next: [f]
    id: f, join: each, next: [e]
    id: e, join: %s"""


@pattern(28)
def test_blocking_discriminator() -> None:
    """Two tokens come over one branch: the second waits until the round of the first is over."""
    world = World().run(flow(QUEUED % "any")).complete("a").complete("b").complete("m")
    assert asked(world) == ["c", "d", "e"]
    world.complete("c").complete("m")
    assert asked(world) == ["d", "e"]
    world.complete("e")
    assert asked(world) == ["d"]
    assert asked(world.complete("d").complete("f")) == ["e"]


@pattern(31)
def test_blocking_partial_join() -> None:
    stages = (QUEUED % "{at_least: 2}").replace("next: [b, c, d]", "next: [b, c, d, g]") + "\n    id: g, next: [e]"
    world = World().run(flow(stages)).complete("a").complete("b").complete("m").complete("d").complete("f")
    assert asked(world) == ["c", "e", "g"]
    world.complete("e").complete("c").complete("m")
    assert asked(world) == ["g"]  # the token waits: the round is not over
    world.complete("g")
    assert [end for end in world.ends() if end.startswith("e")] == ["e1 completed"]


@pattern(33)
def test_generalised_and_join() -> None:
    """Tokens that come twice over one branch are kept until each other branch has one for them."""
    stages = (QUEUED % "all").replace("next: [b, c, d]", "next: [b, c, d, g]") + "\n    id: g, next: [f]"
    world = World().run(flow(stages)).complete("a").complete("b").complete("m").complete("c").complete("m")
    assert asked(world) == ["d", "g"]
    assert asked(world.complete("d").complete("f")) == ["e", "g"]
    assert asked(world.complete("g").complete("f")) == ["e", "e"]


@pattern(37)
def test_local_synchronizing_merge() -> None:
    """The merge knows from the tokens that come, without looking around, what not to wait for: dead paths send one."""
    stages = """id: a, next: [{to: b, when: "result.b"}, {to: c, else: true}]
    id: b, next: [{to: d, when: "result.d"}, {to: x, else: true}]
    id: d, next: [e]
    id: x
    id: c, next: [e]
    id: e"""
    world = World().run(flow(stages)).complete("a", {"b": True}).complete("b", {"d": False})
    assert asked(world) == ["x"]
    assert {"d1 skipped", "c1 skipped", "e1 skipped"} <= set(world.ends())


@pattern(38)
def test_general_synchronizing_merge() -> None:
    """One of the branches comes out of a loop, which may be left without ever leading to the merge."""
    stages = """id: a, next: [b, c]
    id: b, next: [{to: b, when: "result.again", max_times: 5}, {to: e, when: "result.out"}, {to: x, else: true}]
    id: x
    id: c, next: [e]
    id: e"""
    world = World().run(flow(stages)).complete("a").complete("c").complete("b", {"again": True, "out": False})
    assert asked(world) == ["b"]  # the loop may still lead there
    assert asked(world.complete("b", {"again": False, "out": False})) == ["e", "x"]
    led = World().run(flow(stages)).complete("a").complete("b", {"again": False, "out": True})
    assert asked(led) == ["c"]
    assert asked(led.complete("c")) == ["e"]
