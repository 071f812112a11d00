"""A world for the runs role alone: it hears asks and reports, and every decision is checked against the fold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from bus.decider import DECISION_RECORDS_MAX, Draft
from bus.memory import Recalled, Recollection
from bus.record import DeadlineReached, Envelope, Fact, Origin, Record, derive_trace
from bus.testing import NOW_MS, envelope
from services.definitions.versions import digest_of
from services.definitions.workflow import read_workflow
from services.orchestrator.definition import Definition, Level, definition_of
from services.orchestrator.game import Game, StageState
from services.orchestrator.run import CANCELLED, SPLIT, Execution, Run, Runs
from services.orchestrator.run_facts import evolve
from services.orchestrator.runs import RUNS
from services.records.content import Content
from services.records.task import (
    RunEnded,
    RunRequested,
    StageCompleted,
    StageEnded,
    TaskCompleted,
    TaskFailed,
    TaskRequested,
    run_id_of,
)

WORKSPACE = "w"


def content(name: str, value: object) -> Content:
    """A small content, as JSON unless it is a text."""
    text = value if isinstance(value, str) else json.dumps(value)
    data = text.encode()
    media_type = "text/plain" if isinstance(value, str) else "application/json"
    return Content(name=name, digest=digest_of(data), size=len(data), media_type=media_type, inline=data)


def flow(stages: str, head: str = "") -> str:
    """A workflow of one stage a line, all of the profession p."""
    lines = [line.strip() for line in stages.strip().splitlines()]
    kinds = ("kind:", "agent: human")
    with_profession = [line if any(k in line for k in kinds) else f"{line}, profession: p" for line in lines]
    return f"id: x\n{head}stages:\n" + "".join(f"  - {{{line}}}\n" for line in with_profession)


class World:
    """One partition of runs; `facts` has everything said, `last` the last decision."""

    def __init__(self, *, checked: bool = True) -> None:
        self._checked = checked
        self.state: Runs = RUNS.initial()
        self.now_ms = NOW_MS
        self.facts: list[Fact] = []
        self.last: list[Fact] = []
        self.blobs: dict[str, bytes] = {}
        self.run_id = ""
        self._asks = self._taken = 0
        self._decisions: list[tuple[list[Fact], int]] = []  # with their times

    def run(self, text: str, **inputs: object) -> World:
        """Ask for a run of a workflow; the world is about it from here on."""
        self.run_id = self.started(self.asking(text, **inputs))
        return self

    def started(self, ask: RunRequested) -> str:
        """The id of the run that an ask leads to."""
        return run_id_of(self.ask(ask))

    def keep(self, data: bytes) -> str:
        """The digest of a content that is in the store from here on."""
        self.blobs[digest_of(data)] = data
        return digest_of(data)

    def asking(self, text: str, *, key: str = "", **inputs: object) -> RunRequested:
        """The ask for a run of a workflow, which is kept."""
        data = read_workflow(text.encode(), "flow.yaml").workflow.to_json()
        self.blobs[digest_of(data)] = data
        return RunRequested(
            workspace_id=WORKSPACE,
            workflow_id="x",
            definition=digest_of(data),
            inputs=tuple(content(name, value) for name, value in inputs.items()),
            idempotency_key=key,
        )

    def ask(self, ask: Record, ask_id: str = "") -> str:
        self._asks += 1
        ask_id = ask_id or f"ask{self._asks}"
        self.hear(ask, ask_id)
        return ask_id

    def hear(self, record: Record, record_id: str = "") -> list[Fact]:
        return self._decide(envelope(record, record_id=record_id, offset=len(self.facts), time_ms=self.now_ms))

    def wake(self) -> list[Fact]:
        """Let the first deadline come."""
        first = RUNS.deadlines(self.state).first()
        assert first is not None, "the state has no deadline"
        at_ms, name = first
        self.now_ms = max(self.now_ms, at_ms)
        before = self.state
        record: Any = DeadlineReached(name, at_ms)
        said = self._decide(Envelope(record, f"{name}@{at_ms}", Origin("deadline"), None, at_ms, derive_trace(name)))
        assert self.state is not before, f"the deadline {name} was neither moved nor cleared"
        return said

    def go_on(self) -> World:
        """Let all deadlines come that are due by now."""
        while (first := RUNS.deadlines(self.state).first()) and first[0] <= self.now_ms:
            self.wake()
        return self

    @property
    def live(self) -> Run | None:
        return self.state.live.get(self.run_id)

    @property
    def end(self) -> RunEnded:
        ends = [fact for fact in self.facts if isinstance(fact, RunEnded) and fact.run_id == self.run_id]
        assert len(ends) == 1, f"{len(ends)} ends of the run"
        return ends[0]

    def open_requests(self) -> list[TaskRequested]:
        """The attempts that wait for a report, in the order in which they were asked for."""
        attempts = {e.attempt_id for run in self.state.live.values() for e in run.open.values() if not run.is_closing}
        return [f for f in self.facts if isinstance(f, TaskRequested) and f.attempt_id in attempts]

    def take_requests(self) -> list[TaskRequested]:
        """The attempts that were asked for since this was last called."""
        found = [fact for fact in self.facts[self._taken :] if isinstance(fact, TaskRequested)]
        self._taken = len(self.facts)
        return found

    def request(self, stage: str) -> TaskRequested:
        found = [asked for asked in self.open_requests() if asked.work.stage == stage]
        assert found, f"nothing is asked of {stage}; open are {[asked.work.stage for asked in self.open_requests()]}"
        return next((asked for asked in found if asked.work.run_id == self.run_id), found[0])

    def complete(self, stage: str, result: object = None, **outputs: object) -> World:
        """The oldest open attempt of a stage ends well. Declared outputs that are not given are written as texts."""
        asked = self.request(stage)
        declared = {name: f"{name} by {asked.attempt_id}" for name in asked.work.outputs}
        return self.report(asked, result if result is not None else {}, {**declared, **outputs})

    def report(self, asked: TaskRequested, result: object, outputs: Mapping[str, object]) -> World:
        self.hear(self.completion(asked, json.dumps(result), self.contents(**outputs)))
        return self

    def contents(self, **outputs: object) -> tuple[Content, ...]:
        return tuple(content(name, value) for name, value in outputs.items())

    def completion(self, asked: TaskRequested, result: str, contents: tuple[Content, ...] = ()) -> TaskCompleted:
        """A node's report that an attempt ended well."""
        return TaskCompleted(
            workspace_id=WORKSPACE,
            run_id=asked.work.run_id,
            stage=asked.work.stage,
            task_id=asked.task_id,
            attempt_id=asked.attempt_id,
            instance_id="i",
            node_id="n",
            node_session="s",
            incarnation=1,
            result=result,
            outputs=contents,
            started_at_ms=self.now_ms,
        )

    def fail(self, stage: str, code: str = "error", reason: str = "it broke") -> World:
        return self.fail_attempt(self.request(stage), code, reason)

    def fail_attempt(self, asked: TaskRequested, code: str, reason: str) -> World:
        self.hear(
            TaskFailed(
                workspace_id=WORKSPACE,
                run_id=asked.work.run_id,
                stage=asked.work.stage,
                task_id=asked.task_id,
                attempt_id=asked.attempt_id,
                instance_id="i",
                node_id="n",
                node_session="s",
                incarnation=1,
                code=code,
                reason=reason,
            )
        )
        return self

    def ends(self) -> list[str]:
        """What ended in words, in the order of the log: `a1 completed`."""
        found = []
        for fact in self.facts:
            if isinstance(fact, StageCompleted | StageEnded) and fact.run_id == self.run_id:
                status = fact.status if isinstance(fact, StageEnded) else "completed"
                item = f"[{fact.item}]" if fact.item >= 0 else ""
                found.append(f"{fact.stage}{fact.execution}{item} {status}")
        return found

    def types(self) -> list[str]:
        return [type(fact).__name__ for fact in self.last]

    def _decide(self, heard: Envelope) -> list[Fact]:
        recalled = self._recall(heard)
        digests = RUNS.needs(self.state, heard)
        if recalled is not None and RUNS.memory is not None:
            digests = (*digests, *RUNS.memory.needs(recalled, heard))
        blobs = {digest: self.blobs.get(digest) for digest in digests}
        draft = Draft(RUNS, self.state, heard.id, self.now_ms, blobs, recalled)
        RUNS.decide(draft, heard)
        assert {type(fact) for fact in draft.facts} <= RUNS.says
        assert len(draft.facts) <= DECISION_RECORDS_MAX
        folded = self.state
        for fact in draft.facts:
            # Through the wire form, so that nothing lives in a fact that the log does not keep.
            folded = evolve(folded, type(fact).model_validate_json(fact.model_dump_json()), self.now_ms)
        assert folded == draft.state
        self.state, self.last = draft.state, draft.facts
        self.blobs.update(draft.kept)
        self.facts += draft.facts
        if draft.facts:
            self._decisions.append((draft.facts, self.now_ms))
        if self._checked:
            self._check()
        return draft.facts

    def _recall(self, heard: Envelope) -> Recalled | None:
        """What the runtime would recall, if the log had the facts of this role alone."""
        wanted = RUNS.memory.wants(self.state, heard) if RUNS.memory else None
        if wanted is None:
            return None
        recollection, first = Recollection(RUNS, wanted), 0
        for facts, time_ms in self._decisions:
            last = first + len(facts) - 1
            if last >= wanted.before or not recollection.take(facts, first, last, time_ms):
                break
            first = last + 1
        return recollection.found

    def offset_of(self, fact: Fact) -> int:
        """Where a fact stands."""
        return next(n for n, each in enumerate(self.facts) if each is fact)

    def _check(self) -> None:
        """Each execution ends at most once, and only what was said to begin, or never began, ends."""
        ends = Counter(
            (f.run_id, f.stage, f.execution, f.item) for f in self.facts if isinstance(f, StageCompleted | StageEnded)
        )
        assert all(count == 1 for count in ends.values()), [key for key, count in ends.items() if count > 1]
        for run in self.state.live.values():
            assert not any((run.run_id, e.stage, e.number, e.item) in ends for e in run.open.values())
            assert run.open or run.due or run.ending or run.fork, (
                f"nothing goes on in {run.run_id} and it has not ended"
            )
            if not run.ending and run.fork is None and run.definition in self.blobs:
                check_game(run, definition_of(run.definition, self.blobs[run.definition]))


def check_game(run: Run, definition: Definition) -> None:
    """What the token games count is what is under way, and each entry of what is due is counted once."""
    tasks = list(run.open.values())
    _check_level(run, definition.root, run.game, [e for e in tasks if "/" not in e.stage and e.item < 0])
    for key, flow in run.inner.flows.items():
        within = [e for e in tasks if "/" in e.stage and run.flow_key(e.stage, e.item) == key and e.item == flow.item]
        assert flow.open == len(within), (key, flow.open, within)
        owner = run.open[flow.owner]
        assert owner.status in (SPLIT, CANCELLED)
        if not run.is_stopping(owner) and owner.parts is not None and owner.parts.stop is None:
            _check_level(run, definition.levels[flow.path], flow.game, within)
    for execution in tasks:
        named = (execution.stage, execution.number, execution.item)
        due = [each for each in run.due[run.said :] if (each.stage, each.execution, each.item) == named]
        assert execution.due == len(due), (execution, due)
        _check_parts(run, execution)
    assert {task for queue in run.inner.mutexes.values() for task in queue} <= set(run.open)
    assert all(run.open[task].parts is not None for task in run.inner.ready)


def _check_level(run: Run, level: Level, game: Game, tasks: list[Execution]) -> None:
    graph = level.graph
    for stage in graph.stages:
        state = game.stages.get(stage.id, StageState())
        under_way = sorted(e.number for e in tasks if e.stage == stage.id and e.status != CANCELLED)
        assert sorted(state.open) == under_way, (stage.id, state, under_way)
    for index, loop in enumerate(graph.loops):
        if index in game.loops:
            inside = {graph.stages[n].id for n in loop.stages}
            count = sum(e.stage in inside and e.status != CANCELLED for e in tasks)
            assert game.loops[index].open == count


def _check_parts(run: Run, execution: Execution) -> None:
    if execution.parts is None or execution.parts.items is None:
        return
    items = [e for e in run.open.values() if (e.stage, e.number) == (execution.stage, execution.number) and e.item >= 0]
    assert execution.parts.open == len(items)
    assert len(items) <= execution.parts.items.parallel_max
