"""A table to play the token game on: it ends executions in any order, and checks the game after every step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from services.definitions.branch import Branch
from services.definitions.edge import Edge
from services.definitions.graph import Graph, build_graph
from services.definitions.option import Join
from services.definitions.stage import Stage
from services.definitions.workflow import Workflow
from services.orchestrator.game import Game, applied, begun, ended
from services.orchestrator.tokens import Outcome, Play

Takes = Callable[[int, int, Branch], bool]
"""Whether an execution of a stage takes a branch that is not used up."""


def graph_of(*lines: str, joins: dict[str, Join] | None = None) -> Graph:
    """The graph of lines such as `a > b c develop*3`; the number is `max_times`."""
    stages = []
    for line in lines:
        name, _, targets = line.partition(">")
        ways = [target.partition("*") for target in targets.split()]
        edges = tuple(Edge(to=to, max_times=int(times) if times else None) for to, _, times in ways)
        stages.append(Stage(id=name.strip(), profession="p", next=edges, join=(joins or {}).get(name.strip(), Join())))
    return build_graph(Workflow(id="x", stages=tuple(stages)))


class Table:
    """One run of a graph. `log` has every outcome in words, such as `b2 begin`, and `b2 end`."""

    def __init__(self, graph: Graph, *, checked: bool = True) -> None:
        self._checked = checked
        self.graph, self.game = graph, Game()
        self.open: list[tuple[int, int]] = []
        self.log: list[str] = []
        self.outcomes: list[Outcome] = []

    def start(self) -> Table:
        play = Play(self.graph, self.game)
        play.start()
        return self._conclude(play)

    def end(self, name: str, *taken: str, execution: int = 0) -> Table:
        """End the oldest open execution of a stage, or that of a number, taking its branches to these stages."""
        number = self.graph.number[name]
        execution = execution or next(n for stage, n in self.open if stage == number)
        ways = [b.index for b in self.graph.out[number] if self.graph.stages[b.target].id in taken]
        assert len(ways) == len(taken), f"{name} has no way to one of {taken}"
        return self.end_number(number, execution, ways)

    def end_number(self, number: int, execution: int, taken: Iterable[int]) -> Table:
        self.log.append(f"{self.graph.stages[number].id}{execution} end")
        self.open.remove((number, execution))
        play = Play(self.graph, self.game)
        play.end(number, execution, frozenset(taken))
        self.game = ended(self.game, self.graph.stages[number].id, execution)
        return self._conclude(play)

    def cancel(self, *names: str) -> Table:
        play = Play(self.graph, self.game)
        play.cancel(self.graph.number[name] for name in names)
        return self._conclude(play)

    def play_out(self, takes: Takes, pick: Callable[[int], int]) -> Table:
        """End open executions, as `pick` chooses among so many, until none is left."""
        while self.open:
            number, execution = self.open[pick(len(self.open))]
            ways = [b for b in self.graph.out[number] if not self.is_used_up(b) and takes(number, execution, b)]
            self.end_number(number, execution, (b.index for b in ways))
        return self

    def is_used_up(self, branch: Branch) -> bool:
        state = self.game.branches.get(branch.index)
        return branch.times_max is not None and state is not None and state.taken >= branch.times_max

    def counts(self, what: str) -> Counter[str]:
        return Counter(self.graph.stages[o.stage].id for o in self.outcomes if o.what == what)

    def _conclude(self, play: Play) -> Table:
        self.game = applied(self.game, play.moves())
        for outcome in play.outcomes:
            name = self.graph.stages[outcome.stage].id
            self.outcomes.append(outcome)
            self.log.append(f"{name}{outcome.execution} {outcome.what}")
            if outcome.what == "begin":
                self.open.append((outcome.stage, outcome.execution))
                self.game = begun(self.game, name, outcome.execution)
            else:
                if (outcome.stage, outcome.execution) in self.open:
                    self.open.remove((outcome.stage, outcome.execution))
                self.game = ended(self.game, name, outcome.execution)
        if self._checked:
            self._check(play)
        return self

    def _check(self, play: Play) -> None:
        """The fold of the moves is what the decision saw, and counts agree with what they count."""
        game, graph = self.game, self.graph
        for index in range(len(graph.branches)):
            assert play._branch(index) == Play(graph, game)._branch(index)
        for number in range(len(graph.stages)):
            assert play._stage(number) == Play(graph, game)._stage(number)
            assert sorted(play._stage(number).open) == sorted(n for stage, n in self.open if stage == number)
            if len(graph.forward_in[number]) > 1:
                fronts = [play._branch(b.index).queue[:1] for b in graph.forward_in[number]]
                join = play._join(number)
                assert join == Play(graph, game)._join(number)
                assert join[:3] == (len(fronts) - fronts.count(""), fronts.count("t"), fronts.count("v"))
                assert join.arrived < len(fronts)
        for index, loop in enumerate(graph.loops):
            state = play._loop(index)
            assert state == Play(graph, game)._loop(index)
            assert state.open == sum(stage in loop.stages for stage, _ in self.open)
            assert state.owing == sum(play._branch(entry).owes for entry in loop.entries)
