"""The graph of a workflow against brute force over random graphs."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.definitions.branch import LoopUnlimited
from services.definitions.component import arcs_of, components, cycle_in, reach, topological_order
from services.definitions.edge import Edge
from services.definitions.graph import Graph, build_graph
from services.definitions.option import Join, Review
from services.definitions.stage import Stage
from services.definitions.workflow import Workflow

Pairs = list[tuple[int, int]]


Edges = list[tuple[int, int, int | None]]
"""Source, target and `max_times`."""


def workflow_of(count: int, edges: Edges, joins: dict[int, Join] | None = None) -> Workflow:
    """A workflow of stages s0, s1 …"""
    ways: dict[int, list[Edge]] = {}
    for source, target, times in edges:
        ways.setdefault(source, []).append(Edge(to=f"s{target}", max_times=times))
    stages = (
        Stage(id=f"s{n}", profession="p", next=tuple(ways.get(n, ())), join=(joins or {}).get(n, Join()))
        for n in range(count)
    )
    return Workflow(id="x", stages=tuple(stages))


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, Edges]:
    count = draw(st.integers(1, 8))
    node = st.integers(0, count - 1)
    pairs = draw(st.lists(st.tuples(node, node), max_size=16, unique=True))
    limited = draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
    # Mostly forward, so that many of the graphs are allowed; backward ones mostly with a limit.
    flags = [lim or t <= s for (s, t), lim in zip(pairs, limited, strict=True)]
    return count, [(s, t, 3 if flag else None) for (s, t), flag in zip(pairs, flags, strict=True)]


def naive_reach(count: int, pairs: Pairs) -> list[set[int]]:
    """For each node, what a walk of at least one step reaches."""
    reached: list[set[int]] = [{t for s, t in pairs if s == n} for n in range(count)]
    for _ in range(count):
        reached = [row | {far for near in row for far in reached[near]} for row in reached]
    return reached


def forward_pairs(graph: Graph) -> Pairs:
    return [(b.source, b.target) for b in graph.branches if not b.back]


@given(st.integers(1, 8), st.data())
def test_a_workflow_is_refused_exactly_when_edges_without_a_limit_make_a_cycle(count: int, data: st.DataObject) -> None:
    node = st.integers(0, count - 1)
    pairs = data.draw(st.lists(st.tuples(node, node), max_size=16, unique=True))
    edges = [(s, t, data.draw(st.sampled_from([None, None, 3]))) for s, t in pairs]
    unlimited = [(s, t) for s, t, times in edges if times is None]
    if not any(n in row for n, row in enumerate(naive_reach(count, unlimited))):
        build_graph(workflow_of(count, edges))
        return
    with pytest.raises(LoopUnlimited) as caught:
        build_graph(workflow_of(count, edges))
    for cycle in caught.value.cycles:
        numbers = [int(name[1:]) for name in cycle]
        assert all(step in unlimited for step in pairwise([*numbers, numbers[0]]))
        assert len(set(numbers)) == len(numbers)


@given(graphs())
def test_back_branches_close_cycles_of_forward_branches_and_forward_ones_have_none(
    drawn: tuple[int, Edges],
) -> None:
    count, edges = drawn
    graph = build_graph(workflow_of(count, edges))
    reached = naive_reach(count, forward_pairs(graph))
    assert not any(n in row for n, row in enumerate(reached))
    for branch in graph.branches:
        if branch.back:
            assert branch.times_max is not None
            assert branch.source == branch.target or branch.source in reached[branch.target]
        else:
            assert graph.rank[branch.source] < graph.rank[branch.target]
    assert sorted(graph.rank) == list(range(count))


@given(graphs())
def test_every_stage_can_be_reached_from_the_starts(drawn: tuple[int, Edges]) -> None:
    count, edges = drawn
    graph = build_graph(workflow_of(count, edges))
    targets = {target for _, target in forward_pairs(graph)}
    assert graph.starts == tuple(n for n in range(count) if n not in targets)
    assert reach(arcs_of(count, forward_pairs(graph)), graph.starts) == set(range(count))


@given(graphs())
def test_loops_are_the_strongly_connected_parts_with_their_ways_in_and_out(
    drawn: tuple[int, Edges],
) -> None:
    count, edges = drawn
    graph = build_graph(workflow_of(count, edges))
    reached = naive_reach(count, [(b.source, b.target) for b in graph.branches])
    for one in range(count):
        for other in range(count):
            together = one in reached[other] and other in reached[one]
            same = graph.loop_of[one] >= 0 and graph.loop_of[one] == graph.loop_of[other]
            assert same == together
    for index, loop in enumerate(graph.loops):
        inside = set(loop.stages)
        assert {graph.loop_of[n] for n in inside} == {index}
        across = [b for b in graph.branches if (b.source in inside) != (b.target in inside)]
        assert not any(b.back for b in across)
        assert set(loop.entries) == {b.index for b in across if b.target in inside}
        assert set(loop.exits) == {b.index for b in across if b.source in inside}
        assert all(graph.branches[i].loop_left == index for i in loop.exits)
        later = {graph.loop_of[graph.branches[i].target] for i in loop.exits} - {-1}
        assert all(after > index for after in later)


@given(graphs())
def test_the_lookups_of_a_stage_are_the_branches_at_it(drawn: tuple[int, Edges]) -> None:
    count, edges = drawn
    graph = build_graph(workflow_of(count, edges))
    for number in range(count):
        assert [b.target for b in graph.out[number]] == [t for s, t, _ in edges if s == number]
        assert set(graph.forward_out[number]) | set(graph.back_out[number]) == set(graph.out[number])
        assert set(graph.forward_in[number]) == {b for b in graph.branches if b.target == number and not b.back}


def naive_only_way(graph: Graph, join: int) -> set[int]:
    """Stages that have a way on, and lead nowhere but to the join however they go on."""
    inside = set(range(len(graph.stages))) - {join}
    while True:
        leaving = {
            n
            for n in inside
            if not graph.forward_out[n] or any(b.target != join and b.target not in inside for b in graph.out[n])
        }
        if not leaving:
            return inside
        inside -= leaving


@given(graphs(), st.data())
def test_the_stages_whose_only_way_on_is_a_join(drawn: tuple[int, Edges], data: st.DataObject) -> None:
    count, edges = drawn
    join = data.draw(st.integers(0, count - 1))
    graph = build_graph(workflow_of(count, edges, {join: Join(mode="at_least", at_least=1, rest="cancel")}))
    assert set(graph.only_way[join]) == naive_only_way(graph, join)
    assert set(graph.guards) == set(graph.only_way[join])


@given(st.integers(1, 9), st.data())
def test_components_and_orders_agree_with_brute_force(count: int, data: st.DataObject) -> None:
    node = st.integers(0, count - 1)
    pairs = data.draw(st.lists(st.tuples(node, node), max_size=20, unique=True))
    arcs, reached = arcs_of(count, pairs), naive_reach(count, pairs)
    found = components(arcs)
    group = {n: index for index, members in enumerate(found) for n in members}
    assert sorted(group) == list(range(count))
    assert all(
        (group[a] == group[b]) == (a == b or (a in reached[b] and b in reached[a])) for a in group for b in group
    )
    assert all(group[s] <= group[t] for s, t in pairs)
    for members in found:
        cycle = cycle_in(arcs, members)
        assert bool(cycle) == (members[0] in reached[members[0]])
        assert not cycle or all(step in pairs for step in pairwise([*cycle, cycle[0]]))
    order = topological_order(arcs)
    cyclic = {n for n in range(count) if n in reached[n]}
    assert set(order) == {n for n in range(count) if n not in cyclic and not any(n in reached[c] for c in cyclic)}
    assert all(order.index(s) < order.index(t) for s, t in pairs if s in order and t in order)


def test_a_pair_of_limited_edges_begins_with_the_stage_that_is_written_first() -> None:
    graph = build_graph(workflow_of(2, [(0, 1, 3), (1, 0, 3)]))
    assert graph.starts == (0,)
    assert [b.back for b in graph.branches] == [False, True]


def test_a_limit_on_a_way_forward_makes_no_back_branch() -> None:
    graph = build_graph(workflow_of(4, [(1, 2, None), (1, 0, 1), (0, 3, None), (2, 3, None)]))
    assert not any(b.back for b in graph.branches)
    assert graph.starts == (1,)


def test_a_rejection_leads_back_as_often_as_there_are_rounds_left() -> None:
    stages = (
        Stage(id="develop", profession="p", next=(Edge(to="check"),)),
        Stage(
            id="check",
            kind="review",
            review=Review(by=("role:lead",), on_reject="develop", max_rounds=3),
            next=(Edge(to="ship"),),
        ),
        Stage(id="ship", profession="p"),
    )
    graph = build_graph(Workflow(id="x", stages=stages))
    reject = graph.reject[1]
    assert reject is not None
    assert (reject.back, reject.times_max, reject.target) == (True, 2, 0)
    assert graph.loops[0].exits == (graph.out[1][0].index,)


def test_a_rejection_that_leads_on_has_no_rounds_to_count() -> None:
    stages = (
        Stage(id="check", kind="review", review=Review(by=("role:lead",), on_reject="archive")),
        Stage(id="archive", profession="p"),
    )
    graph = build_graph(Workflow(id="x", stages=stages))
    reject = graph.reject[0]
    assert reject is not None
    assert (reject.back, reject.times_max) == (False, None)
    assert graph.starts == (0,)


def test_a_stage_that_compensates_is_no_start() -> None:
    stages = (Stage(id="book", profession="p", compensate="refund"), Stage(id="refund", profession="p"))
    graph = build_graph(Workflow(id="x", stages=stages))
    assert (graph.starts, graph.compensations) == ((0,), frozenset({1}))


def test_ten_thousand_stages_with_loops_inside_a_loop_are_worked_out() -> None:
    count = 10_000
    edges: Edges = [(n, n + 1, None) for n in range(count - 1)]
    edges += [(n, max(0, n - 3), 3) for n in range(count)]
    graph = build_graph(workflow_of(count, [*edges, (count - 1, 0, 2)]))
    assert len(graph.loops) == 1
    assert graph.starts == (0,)
