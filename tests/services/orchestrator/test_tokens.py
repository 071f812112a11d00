"""The token game: joins, back branches, loops and cancelled regions, by scenes and over random graphs."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.definitions.branch import Branch
from services.definitions.edge import Edge
from services.definitions.graph import Graph, build_graph
from services.definitions.option import Join
from services.definitions.stage import Stage
from services.definitions.workflow import Workflow
from tests.services.orchestrator.token_table import Table, graph_of

ALL, ANY, EACH = Join(mode="all"), Join(mode="any"), Join(mode="each")
TWO, TWO_CANCEL = Join(mode="at_least", at_least=2), Join(mode="at_least", at_least=2, rest="cancel")


def test_a_sequence_runs_one_after_the_other() -> None:
    table = Table(graph_of("a > b", "b > c", "c")).start()
    table.end("a", "b").end("b", "c").end("c")
    assert table.log == ["a1 begin", "a1 end", "b1 begin", "b1 end", "c1 begin", "c1 end"]


def test_a_split_and_an_active_join_wait_for_what_was_taken() -> None:
    graph = graph_of("a > b c d", "b > j", "c > j", "d > j", "j")
    table = Table(graph).start().end("a", "b", "c")
    assert table.log[-3:] == ["b1 begin", "c1 begin", "d1 skip"]
    table.end("b", "j")
    assert table.log[-1] == "b1 end"
    table.end("c", "j")
    assert table.log[-1] == "j1 begin"


def test_a_stage_whose_branches_were_all_skipped_is_skipped() -> None:
    table = Table(graph_of("a > b c", "b > j", "c > j", "j > k", "k", "d")).start().end("a")
    assert table.log[-4:] == ["b1 skip", "c1 skip", "j1 skip", "k1 skip"]


def test_a_join_for_all_is_skipped_when_one_branch_was_not_taken() -> None:
    table = Table(graph_of("a > b c", "b > j", "c > j", "j", joins={"j": ALL})).start().end("a", "b")
    assert table.log[-1] == "c1 skip"
    assert table.end("b", "j").log[-1] == "j1 skip"


def test_the_first_token_begins_an_any_join_once_and_the_rest_are_ignored() -> None:
    table = Table(graph_of("a > j", "b > j", "c > j", "j", joins={"j": ANY})).start()
    assert table.end("b", "j").log[-1] == "j1 begin"
    table.end("a", "j").end("j").end("c", "j")
    assert table.counts("begin")["j"] == 1


def test_each_token_begins_an_each_join() -> None:
    table = Table(graph_of("a > j", "b > j", "c > j", "j > k", "k", joins={"j": EACH})).start()
    table.end("a", "j").end("b").end("c", "j").end("j", "k").end("j", "k")
    assert table.counts("begin") == {"a": 1, "b": 1, "c": 1, "j": 2, "k": 2}
    assert table.counts("skip") == {}
    none = Table(graph_of("a > j", "b > j", "j", joins={"j": EACH})).start().end("a").end("b")
    assert none.log[-1] == "j1 skip"


def test_at_least_begins_with_the_nth_and_starts_anew_when_all_have_come() -> None:
    graph = graph_of("h > a b c", "a > j", "b > j", "c > j", "j > h*2", joins={"j": TWO})
    table = Table(graph).start().end("h", "a", "b", "c").end("a", "j")
    assert table.log[-1] == "a1 end"
    assert table.end("c", "j").log[-1] == "j1 begin"
    assert table.end("b", "j").log[-1] == "b1 end"
    table.end("j", "h").end("h", "a", "b").end("a", "j")
    assert table.log[-1] == "a2 end"
    assert table.end("b", "j").log[-1] == "j2 begin"


def test_at_least_is_skipped_when_too_few_branches_were_taken() -> None:
    table = Table(graph_of("a > j", "b > j", "c > j", "j", joins={"j": TWO})).start()
    assert table.end("a", "j").end("b").end("c").log[-1] == "j1 skip"


def test_the_rest_of_a_join_is_cancelled_where_it_leads_nowhere_else() -> None:
    graph = graph_of(
        "s > a b c d", "a > j", "b > j", "c > c2", "c2 > j", "d > j out", "j", "out", joins={"j": TWO_CANCEL}
    )
    table = Table(graph).start().end("s", "a", "b", "c", "d").end("a", "j").end("b", "j")
    assert table.log[-3:] == ["j1 begin", "c1 cancel", "c21 skip"]
    assert table.open == [(graph.number["d"], 1), (graph.number["j"], 1)]
    table.end("d", "j", "out")
    assert table.log[-1] == "out1 begin"


def test_what_would_begin_before_a_cancelling_join_is_cancelled_instead() -> None:
    graph = graph_of("a > j", "b > j", "x > c y", "c > j", "y", "j", joins={"j": TWO_CANCEL})
    table = Table(graph).start().end("a", "j").end("b", "j").end("x", "c", "y")
    assert table.log[-2:] == ["c1 cancel", "y1 begin"]


def test_a_back_branch_begins_its_target_anew_and_counts() -> None:
    table = Table(graph_of("develop > test", "test > develop*2 ship", "ship")).start()
    for _ in range(2):
        table.end("develop", "test").end("test", "develop")
    table.end("develop", "test")
    back = table.graph.out[1][0]
    assert table.is_used_up(back)
    table.end("test", "ship").end("ship")
    assert table.counts("begin") == {"develop": 3, "test": 3, "ship": 1}
    assert table.counts("skip") == {}


def test_a_way_out_of_a_loop_that_was_never_taken_is_skipped_once_the_loop_is_at_rest() -> None:
    graph = graph_of("v > m", "m > u out", "u > v*3 j", "out > j", "j", joins={"j": ALL})
    table = Table(graph).start().end("v", "m").end("m", "u").end("u", "v").end("v", "m").end("m", "u")
    assert table.counts("skip") == {}
    table.end("u", "j")
    assert table.log[-2:] == ["out1 skip", "j1 skip"]


def test_an_exit_in_mid_loop_before_a_join_is_waited_for() -> None:
    graph = graph_of("v > m", "m > u j", "u > v*3 j", "j")
    table = Table(graph).start().end("v", "m").end("m", "u").end("u", "v").end("v", "m").end("m", "u", "j")
    assert "j1 begin" not in table.log
    assert table.end("u", "j").log[-1] == "j1 begin"
    assert table.end("j").open == []


def test_a_loop_with_two_entries_waits_for_the_second_the_first_time_only() -> None:
    graph = graph_of("a > x", "b > y", "x > y", "y > x*2 out", "out")
    table = Table(graph).start().end("a", "x").end("x", "y")
    assert table.log[-1] == "x1 end"
    assert table.end("b", "y").log[-1] == "y1 begin"
    assert table.end("y", "x").end("x", "y").log[-1] == "y2 begin"
    assert table.end("y", "out").log[-1] == "out1 begin"


def test_a_join_in_a_loop_is_not_begun_by_the_branch_that_did_not_fail() -> None:
    """The test fails at once: the review must not begin on the documents alone, and later waits for both."""
    graph = graph_of(
        "develop > test docs", "test > develop*3 review", "docs > review", "review > develop*3 ship", "ship"
    )
    table = Table(graph).start().end("develop", "test", "docs").end("docs", "review").end("test", "develop")
    assert table.log[-1] == "develop2 begin"
    table.end("develop", "test", "docs").end("test", "review")
    assert table.log[-1] == "test2 end"
    assert table.end("docs", "review").log[-1] == "review1 begin"
    table.end("review", "develop").end("develop", "test", "docs").end("docs", "review").end("test", "review")
    assert table.log[-1] == "review2 begin"
    assert table.end("review", "ship").log[-1] == "ship1 begin"


def test_an_inner_loop_may_go_round_while_the_other_branch_of_the_join_waits() -> None:
    graph = graph_of("a > b e", "b > c", "c > b*5 d", "e > d", "d > a*3 out", "out", joins={"d": ALL})
    table = Table(graph).start().end("a", "b", "e").end("e", "d").end("b", "c").end("c", "b").end("b", "c")
    assert "d1 begin" not in table.log
    assert table.end("c", "d").log[-1] == "d1 begin"
    table.end("d", "a").end("a", "b", "e").end("b", "c").end("c", "d")
    assert "d2 begin" not in table.log
    assert table.end("e", "d").log[-1] == "d2 begin"


@pytest.mark.parametrize("join", [Join(), ALL, TWO, ANY, EACH])
def test_a_branch_from_outside_the_lap_is_not_waited_for_again(join: Join) -> None:
    graph = graph_of("s > v x", "v > w", "x > w", "w > v*2 out", "out", joins={"w": join})
    again = Table(graph).start().end("s", "v", "x").end("x", "w").end("v", "w").end("w", "v")
    before = again.counts("begin")["w"]
    assert again.end("v", "w").log[-1] == f"w{before + 1} begin"
    skipped = Table(graph).start().end("s", "v", "x").end("x", "w").end("v", "w").end("w", "v").end("v")
    assert f"w{before + 1} skip" in skipped.log


@pytest.mark.parametrize("join", [ANY, EACH])
def test_a_token_that_began_a_stage_does_not_count_in_the_next_lap(join: Join) -> None:
    graph = graph_of("s > v x", "v > i1 i2", "i1 > w", "i2 > w", "x > w", "w > v*3 out", "out", joins={"w": join})
    table = Table(graph).start().end("s", "v", "x").end("x", "w").end("v", "i1", "i2").end("i1").end("w", "v")
    table.end("i2").end("v", "i1", "i2")
    assert table.end("i1").log[-1] == "w2 skip"


def test_a_round_that_has_begun_is_followed_by_another() -> None:
    joins = {"m": EACH, "n": EACH, "j": ANY}
    table = Table(graph_of("p > m n", "q > m n", "m > j", "n > j", "j", joins=joins)).start()
    table.end("p", "m", "n").end("q", "m", "n").end("m", "j")
    assert table.log[-1] == "j1 begin"
    assert table.end("m", "j").log[-1] == "m2 end"
    assert table.end("n", "j").log[-1] == "j2 begin"
    table.end("n", "j")
    assert table.counts("begin")["j"] == 2


def test_two_laps_begun_side_by_side_both_run() -> None:
    graph = graph_of("a > b c", "b > a*1", "c > a*1")
    table = Table(graph).start().end("a", "b", "c").end("b", "a").end("c", "a")
    table.play_out(lambda number, execution, branch: True, lambda count: 0)
    assert table.counts("begin") == {"a": 3, "b": 3, "c": 3}


def test_a_stage_may_lead_back_to_itself() -> None:
    table = Table(graph_of("poll > poll*2 use", "use")).start().end("poll", "poll").end("poll", "poll")
    assert table.counts("skip") == {}
    assert table.end("poll", "use").log[-1] == "use1 begin"
    failed = Table(graph_of("poll > poll*2 use", "use")).start().end("poll")
    assert failed.log[-1] == "use1 skip"


def test_a_cancelled_region_ends_and_sends_skips() -> None:
    table = Table(graph_of("s > a b c", "a > j", "b > b2", "b2 > j", "c > j", "j")).start().end("s", "a", "b", "c")
    table.cancel("b", "b2", "a")
    assert table.log[-3:] == ["a1 cancel", "b1 cancel", "b21 skip"]
    assert table.end("c", "j").log[-1] == "j1 begin"


def test_a_token_that_waits_for_a_cancelled_stage_counts_no_more() -> None:
    table = Table(graph_of("a > j", "b > j", "j > k", "k")).start().end("a", "j").cancel("j").end("b")
    assert table.log[-2:] == ["j1 skip", "k1 skip"]


# Random graphs.

MODES = [Join(), Join(), ALL, ANY, EACH, TWO, TWO_CANCEL, Join(mode="at_least", at_least=1, rest="cancel")]


@st.composite
def graphs(draw: st.DrawFn, *, modes: tuple[Join, ...] = tuple(MODES), loops: bool = True) -> Graph:
    count = draw(st.integers(1, 9))
    node = st.integers(0, count - 1)
    pairs = draw(st.lists(st.tuples(node, node), max_size=16, unique=True))
    ways: dict[int, list[Edge]] = {}
    for source, target in pairs:
        if source < target:
            ways.setdefault(source, []).append(Edge(to=f"s{target}"))
        elif loops:
            ways.setdefault(source, []).append(Edge(to=f"s{target}", max_times=draw(st.integers(1, 3))))
    joins = draw(st.lists(st.sampled_from(modes), min_size=count, max_size=count))
    incoming = [sum(target == n for source, target in pairs if source < target) for n in range(count)]
    stages = []
    for n in range(count):
        join = joins[n] if (joins[n].at_least or 0) <= incoming[n] else Join()
        stages.append(Stage(id=f"s{n}", profession="p", next=tuple(ways.get(n, ())), join=join))
    return build_graph(Workflow(id="x", stages=tuple(stages)))


def played(graph: Graph, seed: int, likely: float = 0.6) -> Table:
    dice = random.Random(seed)
    return Table(graph).start().play_out(lambda *_: dice.random() < likely, dice.randrange)


@given(graphs(), st.integers(0, 1 << 32), st.sampled_from([0.2, 0.6, 0.9, 1.0]))
def test_every_run_ends_with_every_stage_told_and_every_branch_heard(graph: Graph, seed: int, likely: float) -> None:
    table = played(graph, seed, likely)
    told = {outcome.stage for outcome in table.outcomes}
    assert told == set(range(len(graph.stages)))
    assert not any(table.game.branches[b.index].owes for b in graph.branches if not b.back)
    assert all(table.game.loops[index].closed for index in range(len(graph.loops)))
    for branch in graph.branches:
        if branch.times_max is not None and branch.index in table.game.branches:
            assert table.game.branches[branch.index].taken <= branch.times_max


@given(graphs(), st.integers(0, 1 << 32))
def test_the_executions_of_a_stage_are_numbered_without_gaps(graph: Graph, seed: int) -> None:
    table = played(graph, seed)
    for stage in range(len(graph.stages)):
        numbers = sorted({o.execution for o in table.outcomes if o.stage == stage})
        assert numbers == list(range(1, len(numbers) + 1))
        begins = [o.execution for o in table.outcomes if o.stage == stage and o.what == "begin"]
        assert len(begins) == len(set(begins))


def expected_status(graph: Graph, taken: set[int]) -> dict[int, bool]:
    """By the rules of joins alone: whether each stage of a graph without loops runs, given the branches it takes."""
    runs: dict[int, bool] = {}
    for stage in sorted(range(len(graph.stages)), key=graph.rank.__getitem__):
        branches = graph.forward_in[stage]
        live = sum(runs[b.source] and b.index in taken for b in branches)
        join = graph.stages[stage].join
        needed = {"all": len(branches), "at_least": join.at_least or 1}.get(join.mode, 1)
        runs[stage] = not branches or live >= (needed if len(branches) > 1 else 1)
    return runs


@given(graphs(modes=(Join(), ALL, ANY, TWO), loops=False), st.integers(0, 1 << 32))
def test_without_loops_a_stage_runs_once_or_is_skipped_as_its_join_says(graph: Graph, seed: int) -> None:
    dice = random.Random(seed)
    taken = {branch.index for branch in graph.branches if dice.random() < 0.6}
    table = Table(graph).start().play_out(lambda n, e, branch: branch.index in taken, dice.randrange)
    assert len(table.outcomes) == len(graph.stages)
    runs = expected_status(graph, taken)
    assert {o.stage: o.what for o in table.outcomes} == {n: "begin" if ok else "skip" for n, ok in runs.items()}


@given(graphs(modes=(EACH,), loops=False), st.integers(0, 1 << 32))
def test_without_loops_a_stage_that_joins_each_runs_once_a_token(graph: Graph, seed: int) -> None:
    table = played(graph, seed)
    for stage, branches in enumerate(graph.forward_in):
        if branches:
            tokens = sum(table.game.branches[b.index].taken for b in branches)
            assert sum(o.stage == stage and o.what == "begin" for o in table.outcomes) == tokens


@given(graphs(modes=(Join(), ALL, TWO), loops=False), st.integers(0, 1 << 32), st.integers(0, 1 << 32))
def test_without_loops_the_order_of_ends_does_not_matter(graph: Graph, seed: int, other: int) -> None:
    def takes(number: int, execution: int, branch: Branch) -> bool:
        return random.Random(f"{seed}/{branch.index}").random() < 0.6

    tables = [Table(graph).start().play_out(takes, random.Random(s).randrange) for s in (seed, other)]
    assert len({frozenset(table.outcomes) for table in tables}) == 1


@given(graphs(modes=(Join(), ALL)), st.integers(0, 1 << 32))
def test_a_loop_that_is_never_left_skips_what_lies_behind(graph: Graph, seed: int) -> None:
    """Whatever happens inside, a stage behind a loop begins only if a branch on the way to it was taken."""
    table = played(graph, seed)
    for stage, branches in enumerate(graph.forward_in):
        begins = sum(o.stage == stage and o.what == "begin" for o in table.outcomes)
        laps = sum(
            table.game.branches[b.index].taken
            for b in graph.branches
            if b.back and b.target == stage and b.index in table.game.branches
        )
        tokens = sum(table.game.branches[b.index].taken for b in branches)
        assert begins <= tokens + laps + (not branches)
        if len(branches) <= 1:
            assert begins == tokens + laps + (not branches)


def test_a_long_chain_of_skips_does_not_exhaust_the_stack() -> None:
    graph = graph_of(*[f"s{n} > s{n + 1}" for n in range(5_000)], "s5000")
    table = Table(graph, checked=False).start().end("s0")
    assert len(table.counts("skip")) == 5_000


def test_thousands_of_branches_meet_in_one_join() -> None:
    names = [f"b{n}" for n in range(3_000)]
    table = Table(graph_of("a > " + " ".join(names), *[f"{name} > j" for name in names], "j"), checked=False)
    table.start().end("a", *names)
    for number, execution in table.open.copy():
        table.end_number(number, execution, [table.graph.out[number][0].index])
    assert table.log[-1] == "j1 begin"
