"""The token game of a run, pure: which stages begin, are skipped or cancelled when an execution ends.

Its rules stand in `services.definitions.graph`. `Play` is one decision on a `Game`, which ends in outcomes and in
`Moves`: the entries of the game that changed. A fact carries the moves, so the fold of a run needs neither its
definition nor these rules, and a log replays the same when the rules have changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from typing import Literal, NamedTuple

from services.definitions.branch import Branch
from services.definitions.graph import Graph
from services.orchestrator.game import NEVER, BranchState, Game, JoinState, LoopState, StageState, without
from services.records.token import BranchMove, JoinMove, LoopMove, Moves

TAKEN, SKIPPED, VOID = "t", "s", "v"
NOTHING_MOVED = Moves()


class Outcome(NamedTuple):
    """What the game concluded for one execution of a stage."""

    stage: int
    execution: int
    what: Literal["begin", "skip", "cancel"]


class Play:
    """One decision on a game. Call what happened; then read `outcomes`, in their order, and `moves`."""

    def __init__(self, graph: Graph, game: Game) -> None:
        self.graph, self._game = graph, game
        self.outcomes: list[Outcome] = []
        self._branches: dict[int, BranchState] = {}
        self._joins: dict[int, JoinState] = {}
        self._loops: dict[int, LoopState] = {}
        self._stages: dict[int, StageState] = {}
        self._tokens: deque[tuple[Branch, str]] = deque()
        self._calm: set[int] = set()  # loops in which something may have come to rest

    # What happened.

    def start(self) -> None:
        """The run starts."""
        for stage in self.graph.starts:
            self._begin(stage)
        self._run()

    def end(self, stage: int, execution: int, taken: Collection[int] = ()) -> None:
        """An execution ended and takes these branches, by their indexes; none if it was skipped or cancelled."""
        self._close(stage, execution)
        chosen = frozenset(taken)
        laps = [branch for branch in self.graph.back_out[stage] if branch.index in chosen]
        for branch in laps:
            state = self._branch(branch.index)
            self._branches[branch.index] = state._replace(taken=state.taken + 1)
            self._start_lap(branch.target)
            self._begin(branch.target)
        for branch in self.graph.forward_out[stage]:
            if branch.index in chosen:
                self._tokens.append((branch, TAKEN))
            elif not laps:
                self._send_skip(branch)
        self._run()

    def cancel(self, stages: Iterable[int]) -> None:
        """These stages are cancelled: what is under way ends, and taken tokens that wait for them count no more."""
        chosen = sorted(set(stages), key=self.graph.rank.__getitem__)
        for stage in chosen:
            self._withdraw(stage)
        self._cancel_open(chosen)
        self._run()

    # Executions.

    def _begin(self, stage: int) -> None:
        if any(self._join(join).begun for join in self.graph.guards.get(stage, ())):
            self._pass_over(stage, "cancel")
            return
        state = self._stage(stage)
        execution = state.executions + 1
        self._stages[stage] = state._replace(executions=execution, open=(*state.open, execution))
        self._count_in_loop(stage, 1)
        self.outcomes.append(Outcome(stage, execution, "begin"))

    def _pass_over(self, stage: int, what: Literal["skip", "cancel"]) -> None:
        state = self._stage(stage)
        self._stages[stage] = state._replace(executions=state.executions + 1)
        self.outcomes.append(Outcome(stage, state.executions + 1, what))
        for branch in self.graph.forward_out[stage]:
            self._send_skip(branch)

    def _close(self, stage: int, execution: int) -> None:
        state = self._stage(stage)
        self._stages[stage] = state._replace(open=without(state.open, execution))
        self._count_in_loop(stage, -1)

    def _cancel_open(self, stages: Iterable[int]) -> None:
        for stage in stages:
            for execution in self._stage(stage).open:
                self._close(stage, execution)
                self.outcomes.append(Outcome(stage, execution, "cancel"))
                for branch in self.graph.forward_out[stage]:
                    self._send_skip(branch)

    def _withdraw(self, stage: int) -> None:
        if self.graph.stages[stage].join.mode == "each":
            return  # its tokens have begun it as they came
        for branch in self.graph.forward_in[stage]:
            state = self._branch(branch.index)
            if TAKEN in state.queue:
                self._branches[branch.index] = state._replace(queue=state.queue.replace(TAKEN, SKIPPED))
        if stage in self._game.joins or stage in self._joins:
            self._count_anew(stage, self._join(stage).begun)

    # Tokens.

    def _send_skip(self, branch: Branch) -> None:
        if branch.loop_left < 0:
            self._tokens.append((branch, SKIPPED))

    def _run(self) -> None:
        """Deliver every token, and those that loops let go when nothing is left to do in them."""
        while self._tokens or self._calm:
            while self._tokens:
                self._deliver(*self._tokens.popleft())
            for loop in sorted(self._calm):
                self._let_go(loop)
            self._calm.clear()

    def _deliver(self, branch: Branch, kind: str) -> None:
        before = self._branch(branch.index)
        taken = before.taken + (kind == TAKEN)
        if before.owes:
            self._note_entry(branch)
        if len(self.graph.forward_in[branch.target]) == 1:
            self._branches[branch.index] = BranchState(False, "", taken)
            self._fire(branch.target, kind == TAKEN)
            return
        self._branches[branch.index] = BranchState(False, before.queue + kind, taken)
        self._arrive(branch.target, kind, is_first=not before.queue)

    def _fire(self, stage: int, begins: bool) -> None:
        if begins:
            self._begin(stage)
        else:
            self._pass_over(stage, "skip")

    # Joins.

    def _arrive(self, stage: int, kind: str, *, is_first: bool) -> None:
        if is_first:
            join = self._join(stage)
            taken, void = join.taken + (kind == TAKEN), join.void + (kind == VOID)
            self._joins[stage] = JoinState(join.arrived + 1, taken, void, join.begun)
        if self.graph.stages[stage].join.mode == "each" and kind == TAKEN:
            self._begin(stage)
        self._begin_early(stage)
        while self._join(stage).arrived == len(self.graph.forward_in[stage]):
            self._end_round(stage)

    def _begin_early(self, stage: int) -> None:
        """Joins that need not wait for every branch begin their stage in the middle of a round."""
        join, written = self._join(stage), self.graph.stages[stage].join
        if join.begun or written.mode not in ("any", "at_least"):
            return
        present = len(self.graph.forward_in[stage]) - join.void
        if join.taken >= max(1, min(written.at_least or 1, present)):
            self._joins[stage] = join._replace(begun=True)
            self._begin(stage)
            if written.rest == "cancel":
                self._cancel_open(sorted(self.graph.only_way[stage], key=self.graph.rank.__getitem__))

    def _end_round(self, stage: int) -> None:
        join, mode = self._join(stage), self.graph.stages[stage].join.mode
        for branch in self.graph.forward_in[stage]:
            state = self._branch(branch.index)
            self._branches[branch.index] = state._replace(queue=state.queue[1:])
        self._count_anew(stage, begun=False)
        if mode == "all":
            self._fire(stage, join.taken > 0 and join.taken + join.void == join.arrived)
        elif mode == "active":
            self._fire(stage, join.taken > 0)
        elif not (join.begun or (mode == "each" and join.taken)):
            self._fire(stage, begins=False)
        self._begin_early(stage)

    def _count_anew(self, stage: int, begun: bool) -> None:
        fronts = [self._branch(branch.index).queue[:1] for branch in self.graph.forward_in[stage]]
        arrived = len(fronts) - fronts.count("")
        self._joins[stage] = JoinState(arrived, fronts.count(TAKEN), fronts.count(VOID), begun)

    # Loops.

    def _start_lap(self, head: int) -> None:
        """What hangs on the last execution of `head` in this loop is void: its stages will be told anew."""
        loop = self.graph.loop_of[head]
        reached, pending = {head}, [head]
        renewed: set[int] = set()
        while pending:
            for branch in self.graph.forward_out[pending.pop()]:
                state = self._branch(branch.index)
                if self.graph.loop_of[branch.target] != loop or (state.owes and not state.queue):
                    continue
                renewed.add(branch.index)
                self._branches[branch.index] = BranchState(True, "", state.taken)
                if branch.target not in reached:
                    reached.add(branch.target)
                    pending.append(branch.target)
        for stage in sorted(reached - {head}):
            if len(self.graph.forward_in[stage]) > 1:
                self._renew_round(stage, renewed)

    def _renew_round(self, stage: int, renewed: set[int]) -> None:
        """A branch from outside the lap that has sent its token takes no part in the new round, or waits for it."""
        each, begun = self.graph.stages[stage].join.mode == "each", self._join(stage).begun
        for branch in self.graph.forward_in[stage]:
            state = self._branch(branch.index)
            if branch.index in renewed or state.owes:
                continue
            queue = state.queue.replace(TAKEN, VOID) if each else state.queue
            if not queue or begun:
                queue = VOID + queue[1:]
            self._branches[branch.index] = state._replace(queue=queue)
        self._count_anew(stage, begun=False)

    def _note_entry(self, branch: Branch) -> None:
        loop = self.graph.loop_of[branch.target]
        if loop >= 0 and self.graph.loop_of[branch.source] != loop:
            state = self._loop(loop)
            self._loops[loop] = state._replace(owing=state.owing - 1)
            self._calm.add(loop)

    def _count_in_loop(self, stage: int, change: int) -> None:
        loop = self.graph.loop_of[stage]
        if loop >= 0:
            state = self._loop(loop)
            self._loops[loop] = state._replace(open=state.open + change)
            self._calm.add(loop)

    def _let_go(self, loop: int) -> None:
        """Nothing is left to do in the loop: the ways out of it that were never taken send their skipped tokens."""
        state = self._loop(loop)
        if state.open or state.owing or state.closed:
            return
        self._loops[loop] = state._replace(closed=True)
        for index in self.graph.loops[loop].exits:
            if self._branch(index).taken == 0:
                self._tokens.append((self.graph.branches[index], SKIPPED))

    # What was changed, over what was there.

    def _branch(self, index: int) -> BranchState:
        return self._branches.get(index) or self._game.branches.get(index) or BranchState()

    def _join(self, stage: int) -> JoinState:
        return self._joins.get(stage) or self._game.joins.get(stage) or JoinState()

    def _loop(self, loop: int) -> LoopState:
        found = self._loops.get(loop) or self._game.loops.get(loop)
        return found or LoopState(0, len(self.graph.loops[loop].entries))

    def _stage(self, stage: int) -> StageState:
        return self._stages.get(stage) or self._game.stages.get(self.graph.stages[stage].id) or NEVER

    def moves(self) -> Moves:
        """The entries of the game that changed, in the order of their indexes."""
        game = self._game
        branches, joins, loops = sorted(self._branches), sorted(self._joins), sorted(self._loops)
        if not branches and not loops:
            return NOTHING_MOVED
        return Moves(
            branches=tuple(
                branch_move(n, self._branches[n]) for n in branches if game.branches.get(n) != self._branches[n]
            ),
            joins=tuple(join_move(n, self._joins[n]) for n in joins if game.joins.get(n) != self._joins[n]),
            loops=tuple(loop_move(n, self._loops[n]) for n in loops if game.loops.get(n) != self._loops[n]),
        )


def branch_move(index: int, state: BranchState) -> BranchMove:
    """How a branch stands, as a fact says it."""
    return BranchMove(edge=index, owes=state.owes, queue=state.queue, taken=state.taken)


def join_move(stage: int, state: JoinState) -> JoinMove:
    """How the round of a join stands, as a fact says it."""
    return JoinMove(stage=stage, arrived=state.arrived, taken=state.taken, void=state.void, begun=state.begun)


def loop_move(loop: int, state: LoopState) -> LoopMove:
    """How a loop stands, as a fact says it."""
    return LoopMove(loop=loop, open=state.open, owing=state.owing, closed=state.closed)
