"""One decision on one run: what the token game concludes is said in its order, as far as the decision has room."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from bus.decider import Draft
from bus.record import Fact
from services.definitions.stage import Stage
from services.orchestrator.definition import Definition, Level
from services.orchestrator.executions import attempts_at
from services.orchestrator.flow import Flow
from services.orchestrator.pieces import split_moves
from services.orchestrator.run import Execution, Run, Runs, task_id_of
from services.orchestrator.tokens import Outcome, Play
from services.records.content import Artifact
from services.records.task import RunEnded, Token, TokensMoved
from services.records.token import Due, Moves

FACTS_MAX = 120
"""A decision says no further outcome when it has so many facts; each may lead to a few more."""

MOVES_MAX = 256
"""Moves that surely fit into one fact; more are looked at."""

BYTES_MAX = 128 * 1024
"""Nor when the work that it asks for is so big, by a rough estimate."""


class Entry(NamedTuple):
    """One thing that is due: see `services.records.token.Due`."""

    stage: str
    execution: int
    what: str
    detail: str = ""
    item: int = -1


class Agenda(Protocol):
    """What a turn goes on with."""

    def say(self, turn: Turn, due: Entry) -> None:
        """Say one thing that is due; it may only add what `later` takes."""
        ...

    def advance(self, turn: Turn, execution: Execution) -> bool:
        """Go one step on with an execution that has parts; False if it lacks a content that the next decision has."""
        ...


class Turn:
    """A draft with the run that it is about."""

    def __init__(self, draft: Draft[Runs], run_id: str, definition: Definition, agenda: Agenda) -> None:
        self.draft, self.run_id, self.definition = draft, run_id, definition
        self.bytes = 0  # of what was asked for, by a rough estimate
        self._agenda = agenda
        self._later: deque[Callable[[], None]] = deque()

    @property
    def run(self) -> Run:
        return self.draft.state.live[self.run_id]

    @property
    def is_live(self) -> bool:
        run = self.draft.state.live.get(self.run_id)
        return run is not None and not run.ending

    @property
    def now_ms(self) -> int:
        return self.draft.now_ms

    @property
    def has_room(self) -> bool:
        """Whether the decision may say more."""
        return len(self.draft.facts) < FACTS_MAX and self.bytes < BYTES_MAX

    def number(self, stage: str) -> int:
        return self.definition.level(stage).graph.number[stage]

    def stage(self, name: str) -> Stage:
        return self.definition.stages[name]

    def flow(self, stage: str, item: int) -> Run | Flow:
        """What the stage is in: the run, or a subflow."""
        return self.run.flow(stage, item)

    def execution(self, stage: str, number: int, item: int) -> Execution | None:
        """An execution that is under way."""
        return self.run.open.get(task_id_of(self.run_id, stage, number, item))

    def attempts(self, stage: str) -> int:
        """The attempts at a stage so far."""
        return attempts_at(self.run, stage)

    def play(self, stage: str, item: int) -> Play:
        """The token game that a stage takes part in."""
        return Play(self.definition.level(stage).graph, self.flow(stage, item).game)

    def add(self, fact: Fact) -> None:
        self.draft.add(fact)

    def later(self, act: Callable[[], None]) -> None:
        """Do this once everything concluded so far has been said, unless the run is over by then."""
        self._later.append(act)

    def conclude(
        self,
        play: Play,
        level: Level,
        item: int,
        fact: Callable[[Moves], Fact],
        then: Sequence[Entry] = (),
        inputs: tuple[Artifact, ...] | None = None,
    ) -> None:
        """Add the fact that carries the moves of a play, and say its outcomes and what follows, now or when there is
        room. The play is that of a level, and of an item if that level is run for one; `inputs` is what it begins with,
        if it does.
        """
        due = _entries(level, item, play.outcomes, then)
        room = self._room(due, inputs)
        moves = play.moves()
        if room < len(due):
            moves = moves.model_copy(update={"due": tuple([Due(**entry._asdict()) for entry in due[room:]])})
        if len(moves.branches) + len(moves.joins) + len(moves.due) > MOVES_MAX:
            self._add_in_pieces(moves, level, item, fact)
        else:
            self.add(fact(moves))
        for each in due[:room]:
            self.say(each)

    def _add_in_pieces(self, moves: Moves, level: Level, item: int, fact: Callable[[Moves], Fact]) -> None:
        first, *others = split_moves(moves)
        self.add(fact(first))
        run = self.run
        for piece in others:
            self.add(
                TokensMoved(
                    workspace_id=run.workspace_id, run_id=run.run_id, level=level.prefix, item=item, moves=piece
                )
            )

    def say(self, due: Entry) -> None:
        """Say one thing that is due."""
        self._agenda.say(self, due)

    def say_due(self) -> None:
        """Go on with what is due, as far as there is room."""
        for _ in range(max(1, self._fits(self.run.due[self.run.said :]))):
            if not self.is_live or not self.run.due:
                return
            due = self.run.due[self.run.said]
            self.say(Entry(due.stage, due.execution, due.what, due.detail, due.item))
            # What an entry leads to is said before the next one, so that each fact is about the first that is due.
            self._catch_up()

    def finish(self) -> None:
        """Do what was to be done later, go on with what has parts; a run with nothing under way has completed."""
        self._catch_up()
        while self._can_advance():
            run = self.run
            if not self._agenda.advance(self, run.open[run.inner.ready[0]]):
                break
            self._catch_up()
        if self.is_live and not self.run.open and not self.run.due and self.run.fork is None:
            run = self.run
            self.add(RunEnded(workspace_id=run.workspace_id, run_id=run.run_id, status="completed"))

    def _can_advance(self) -> bool:
        """Nothing goes on before what has been due for longer."""
        run = self.draft.state.live.get(self.run_id)
        return (
            run is not None
            and bool(run.inner.ready)
            and not run.ending
            and not run.due
            and run.fork is None
            and run.pause is None
            and self.has_room
        )

    def _catch_up(self) -> None:
        while self._later:
            act = self._later.popleft()
            if self.is_live:
                act()

    def tokens(self, stage: str, taken: Sequence[int] = ()) -> tuple[Token, ...]:
        """The tokens that an ended stage sends, for whoever reads the log."""
        graph, chosen = self.definition.level(stage).graph, frozenset(taken)
        number = graph.number[stage]
        laps = [branch for branch in graph.back_out[number] if branch.index in chosen]
        silent = bool(laps)  # a new lap hears no skipped tokens
        ways = [b for b in graph.forward_out[number] if b.index in chosen or not (silent or b.loop_left >= 0)]
        return tuple([Token(edge=branch.index, taken=branch.index in chosen) for branch in (*laps, *ways)])

    def _room(self, entries: Sequence[Entry], inputs: tuple[Artifact, ...] | None) -> int:
        """Nothing is said before what has been due for longer."""
        run = self.draft.state.live.get(self.run_id)
        return 0 if run is not None and (run.due or run.pause is not None) else self._fits(entries, inputs)

    def _fits(self, entries: Sequence[Entry | Due], inputs: tuple[Artifact, ...] | None = None) -> int:
        size, room = 0, FACTS_MAX - len(self.draft.facts)
        if len(entries) <= 1:
            return min(len(entries), max(room, 0))
        given = None if inputs is None else {artifact.name.rpartition("/")[2]: artifact for artifact in inputs}
        for count, entry in enumerate(entries):
            size += self._size_of(entry, given)
            if count >= room or (count and size > BYTES_MAX):
                return count
        return len(entries)

    def _size_of(self, entry: Entry | Due, given: Mapping[str, Artifact] | None) -> int:
        if entry.what not in ("begin", "resume"):
            return 0
        stage = self.stage(entry.stage)
        return self.size_of(stage, self.flow(entry.stage, entry.item).artifacts if given is None else given)

    def size_of(self, stage: Stage, artifacts: Mapping[str, Artifact]) -> int:
        """Bytes of the work of a stage, by a rough estimate."""
        inputs = [artifacts.get(part.name) for part in stage.input]
        inline = sum(len(artifact.inline) for artifact in inputs if artifact is not None and artifact.inline)
        return inline + len(self.definition.parameters[stage.id])


def _entries(level: Level, item: int, outcomes: Sequence[Outcome], then: Sequence[Entry]) -> list[Entry]:
    """What is due; what is cancelled in the same breath neither begins nor goes on."""
    stages = level.graph.stages
    entries = [Entry(stages[stage].id, execution, what, "", item) for stage, execution, what in outcomes]
    entries.extend(then)
    if len(entries) < 2:
        return entries
    cancelled = {(each.stage, each.execution, each.item) for each in entries if each.what == "cancel"}
    if not cancelled:
        return entries
    return [
        each for each in entries if each.what == "cancel" or (each.stage, each.execution, each.item) not in cancelled
    ]
