"""One decision on one run: what the token game concludes is said in its order, as far as the decision has room."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bus.decider import Draft
from bus.record import Fact
from services.definitions.stage import Stage
from services.orchestrator.definition import Definition
from services.orchestrator.run import Execution, Run, Runs, task_id_of
from services.orchestrator.tokens import Outcome, Play
from services.records.task import RunEnded, Token
from services.records.token import Due, Moves

FACTS_MAX = 120
"""A decision says no further outcome when it has so many facts; each may lead to a few more."""

BYTES_MAX = 128 * 1024
"""Nor when the work that it asks for is so big, by a rough estimate."""


class Entry(NamedTuple):
    """One thing that is due: see `services.records.token.Due`."""

    stage: str
    execution: int
    what: str
    detail: str = ""


class Turn:
    """A draft with the run that it is about. `say` says one thing that is due; it may only add what `later` takes."""

    def __init__(
        self, draft: Draft[Runs], run_id: str, definition: Definition, say: Callable[[Turn, Entry], None]
    ) -> None:
        self.draft, self.run_id, self.definition = draft, run_id, definition
        self._say_one = say
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

    def number(self, stage: str) -> int:
        return self.definition.graph.number[stage]

    def stage(self, name: str) -> Stage:
        return self.definition.stage(name)

    def execution(self, stage: str, number: int) -> Execution | None:
        """An execution that is under way."""
        return self.run.open.get(task_id_of(self.run_id, stage, number))

    def play(self) -> Play:
        return Play(self.definition.graph, self.run.game)

    def add(self, fact: Fact) -> None:
        self.draft.add(fact)

    def later(self, act: Callable[[], None]) -> None:
        """Do this once everything concluded so far has been said, unless the run is over by then."""
        self._later.append(act)

    def conclude(self, play: Play, fact: Callable[[Moves], Fact], then: Sequence[Entry] = ()) -> None:
        """Add the fact that carries the moves of a play, and say its outcomes and what follows, now or when there is
        room.
        """
        due = self._agenda(play.outcomes, then)
        room = self._room(due)
        moves = play.moves()
        if room < len(due):
            moves = moves.model_copy(update={"due": tuple([Due(**entry._asdict()) for entry in due[room:]])})
        self.add(fact(moves))
        for each in due[:room]:
            self.say(each)

    def say(self, due: Entry) -> None:
        """Say one thing that is due."""
        self._say_one(self, due)

    def say_due(self) -> None:
        """Go on with what is due, as far as there is room."""
        for _ in range(max(1, self._fits(self.run.due[self.run.said :]))):
            if not self.is_live or not self.run.due:
                return
            due = self.run.due[self.run.said]
            self.say(Entry(due.stage, due.execution, due.what, due.detail))
            # What an entry leads to is said before the next one, so that each fact is about the first that is due.
            self._catch_up()

    def finish(self) -> None:
        """Do what was to be done later; a run with nothing under way has completed."""
        self._catch_up()
        if self.is_live and not self.run.open and not self.run.due:
            run = self.run
            self.add(RunEnded(workspace_id=run.workspace_id, run_id=run.run_id, status="completed"))

    def _catch_up(self) -> None:
        while self._later:
            act = self._later.popleft()
            if self.is_live:
                act()

    def tokens(self, stage: str, taken: Sequence[int] = ()) -> tuple[Token, ...]:
        """The tokens that an ended stage sends, for whoever reads the log."""
        graph, number = self.definition.graph, self.number(stage)
        laps = [branch for branch in graph.back_out[number] if branch.index in taken]
        silent = bool(laps)  # a new lap hears no skipped tokens
        ways = [b for b in graph.forward_out[number] if b.index in taken or not (silent or b.loop_left >= 0)]
        return tuple([Token(edge=branch.index, taken=branch.index in taken) for branch in (*laps, *ways)])

    def _agenda(self, outcomes: Sequence[Outcome], then: Sequence[Entry]) -> list[Entry]:
        """What is cancelled in the same breath neither begins nor goes on."""
        stages = self.definition.graph.stages
        entries = [Entry(stages[stage].id, execution, what) for stage, execution, what in outcomes]
        entries.extend(then)
        cancelled = {entry[:2] for entry in entries if entry.what == "cancel"}
        if not cancelled:
            return entries
        return [entry for entry in entries if entry.what == "cancel" or entry[:2] not in cancelled]

    def _room(self, entries: Sequence[Entry]) -> int:
        """Nothing is said before what has been due for longer."""
        run = self.draft.state.live.get(self.run_id)
        return 0 if run is not None and run.due else self._fits(entries)

    def _fits(self, entries: Sequence[Entry | Due]) -> int:
        size, room = 0, FACTS_MAX - len(self.draft.facts)
        if len(entries) <= 1:
            return min(len(entries), max(room, 0))
        for count, entry in enumerate(entries):
            size += self._size_of(entry)
            if count >= room or (count and size > BYTES_MAX):
                return count
        return len(entries)

    def _size_of(self, entry: Entry | Due) -> int:
        run = self.draft.state.live.get(self.run_id)
        if run is None or entry.what not in ("begin", "resume"):
            return 0
        inputs = [run.artifacts.get(part.name) for part in self.stage(entry.stage).input]
        inline = sum(len(artifact.inline) for artifact in inputs if artifact is not None and artifact.inline)
        return inline + len(self.definition.parameters[entry.stage])
