"""Random runs of random workflows: whatever is heard in whatever order, a run ends, and its fold is as decided."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.record import Fact
from services.orchestrator import ending, fork, reuse, turn
from services.orchestrator.runs import RUNS
from services.records.review import ReviewClosed
from services.records.task import (
    CancelRequested,
    RunCancelRequested,
    RunEnded,
    RunForkRequested,
    RunPauseRequested,
    RunRefused,
    RunResumeRequested,
    RunStarted,
    SignalRequested,
    StageCompleted,
    StageEnded,
    StageStarted,
    TaskAnswerRequested,
    TaskCancelRequested,
    TaskRequested,
    run_id_of,
)
from tests.services.orchestrator.run_world import WORKSPACE, World

STEPS_MAX = 12_000
FORKS_MAX = 3
KINDS = ["task", "wait", "review", "human", "end", "map", "subflow", "mapped"]


def draw_stage(dice: random.Random, number: int, count: int, inner: int = -1) -> str:
    """One stage with options as they come, most often a plain task; some of the workflows are refused for it.

    `inner` is the subflow that it may run, if there is one.
    """
    parts = [f"id: s{number}"]
    kind = dice.choices(KINDS, [20, 3, 2, 2, 1, 4, 3 * (inner >= 0), 2 * (inner >= 0)])[0]
    edges = _draw_edges(dice, number, count)
    if kind == "task":
        parts.append("profession: p")
        parts += dice.choices(["mutex: m", "retry: {on: [error, timeout], backoff: 10ms}", "output: [r]"], k=1)
    elif kind == "wait":
        wait = dice.choice(["signal: go", "for: 1s", f"stage: s{dice.randrange(count)}"])
        parts.append(f"kind: wait, wait: {{{wait}}}" + dice.choice(["", ", choice: c"]))
    elif kind == "review":
        parts.append('kind: review, review: {by: ["role:r"]}')
    elif kind == "human":
        parts.append("agent: human, timeout: 1m")
    elif kind == "map":
        parts.append(f"profession: p, map: {{over: list, max_parallel: {dice.randint(1, 3)}, collect: all{number}}}")
        parts += dice.choices(["output: [r]", "retry: {on: [error], backoff: 10ms}", "agent: human"], k=1)
    elif kind in ("subflow", "mapped"):
        parts.append(f"kind: subflow, subflow: {{id: f{inner}, inputs: {{list: list}}}}")
        parts += dice.choices(["mutex: m", "timeout: 30s", "output: [r]"], k=1)
        parts += [f"map: {{over: list, max_parallel: {dice.randint(1, 3)}, collect: all{number}}}"] * (kind == "mapped")
    else:
        return f"{parts[0]}, kind: end"
    if dice.random() < 0.2:
        parts.append(f"on_error: {dice.choice(['skip', f'{{to: s{dice.randrange(count)}}}'])}")
    if dice.random() < 0.1:
        parts.append(f"cancel: [s{(number + 1) % count}]")
    joins = ["active", "active", "any", "each", "all", "{at_least: 1, rest: cancel}"]
    parts.append(f"join: {dice.choice(joins if number else joins[:2])}")
    parts.append(f"next: [{', '.join(edges)}]")
    return ", ".join(parts)


def _draw_edges(dice: random.Random, number: int, count: int) -> list[str]:
    edges = []
    for target in sorted(dice.sample(range(count), min(count, dice.randrange(4)))):
        limit = "" if target > number else f", max_times: {dice.randint(1, 2)}"
        when = dice.choice(["", f', when: "has(result.n) && result.n > {dice.randrange(10)}"'])
        edges.append(f"{{to: s{target}{when}{limit}}}")
    return [*edges, f"{{to: s{count - 1}, else: true}}"] if edges and number < count - 1 else edges


def draw_workflow(dice: random.Random) -> str:
    """A workflow, and below it up to two that run inside each other; the innermost has no inner one."""
    depth = dice.choice([0, 0, 1, 1, 2])
    levels = [_draw_level(dice, level if level < depth else -1) for level in range(depth + 1)]
    head = "inputs: {list: json}\non_conflict: keep_both\n"
    inner = "".join(f"  f{level}:\n{_indented(head + levels[level + 1])}" for level in range(depth))
    return f"id: x\n{head}{_draw_undo(dice, levels[0])}" + (f"subflows:\n{inner}" if inner else "")


def _draw_level(dice: random.Random, inner: int) -> str:
    count = dice.randint(1, 8 if inner < 0 else 5)
    return "stages:\n" + "".join(f"  - {{{draw_stage(dice, number, count, inner)}}}\n" for number in range(count))


def _draw_undo(dice: random.Random, stages: str) -> str:
    """The outermost stages, of which some are undone by one more, which may fail too."""
    lines = stages.splitlines(keepends=True)
    undone = [line.replace("}\n", ", compensate: undo}\n") if dice.random() < 0.4 else line for line in lines]
    if undone == lines:
        return stages
    option = dice.choice(["profession: p, retry: {on: [error], backoff: 10ms}", "agent: human, timeout: 1m"])
    return "".join(undone) + f"  - {{id: undo, {option}}}\n"


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


class Fate:
    """What happens to a run, by the dice."""

    def __init__(self, dice: random.Random) -> None:
        self.world, self.dice = World(), dice
        self.asked = self.world.asking(draw_workflow(dice), key="key", list=["a", 2, {"c": 3}][: dice.randrange(4)])
        self.world.run_id = run_id_of(self.world.ask(self.asked))
        self.runs = [self.world.run_id]
        self.is_refused = isinstance(self.world.last[0], RunRefused)

    def play_out(self) -> None:
        """Until every run has ended, those too that were forked from others."""
        for _ in range(STEPS_MAX):
            if self.world.live is None:
                if not self.world.state.live:
                    return
                self.world.run_id = min(self.world.state.live)
            self._step()
        raise AssertionError(f"the run goes on after {STEPS_MAX} steps: {self.world.live}")

    def _step(self) -> None:
        world, dice = self.world, self.dice
        acts = [self._report] * 12 * bool(world.open_requests()) + [self._signal, self._wake, self._wake]
        acts += [self._vote, self._answer] + [self._cancel] * (dice.random() < 0.02)
        acts += [self._ask_again] * (dice.random() < 0.05)
        acts += [self._pause, self._cancel_task] * (dice.random() < 0.05)
        acts += [self._resume] * 10 * bool(world.live and world.live.pause)
        acts += [self._fork] * 3 * (len(self.runs) < FORKS_MAX and dice.random() < 0.1)
        dice.choice(acts)()

    def _report(self) -> None:
        asked = self.dice.choice(self.world.open_requests())
        fate = self.dice.random()
        if fate < 0.15:
            code = self.dice.choice(["error", "timeout", "worker_lost"])
            self.world.fail_attempt(asked, code, "it broke")
            if code != "error" and fate < 0.05:  # given up too early
                self.world.report(asked, {"n": 0}, {})
        else:
            outputs = {name: f"{self.dice.random()}" for name in asked.work.outputs}
            self.world.report(asked, {"n": self.dice.randrange(10)}, outputs)
            if fate > 0.9:  # the node repeats itself
                self.world.report(asked, {"n": 0}, outputs)

    def _wake(self) -> None:
        if RUNS.deadlines(self.world.state).first():
            self.world.wake()

    def _signal(self) -> None:
        self.world.ask(SignalRequested(workspace_id=WORKSPACE, run_id=self.world.run_id, signal="go"))

    def _cancel(self) -> None:
        self.world.ask(RunCancelRequested(workspace_id=WORKSPACE, run_id=self.world.run_id))

    def _ask_again(self) -> None:
        """Whoever asks under the key of the run gets it again, and no second one."""
        self.world.ask(self.asked)

    def _pause(self) -> None:
        self.world.ask(RunPauseRequested(workspace_id=WORKSPACE, run_id=self.world.run_id))

    def _resume(self) -> None:
        self.world.ask(RunResumeRequested(workspace_id=WORKSPACE, run_id=self.world.run_id))

    def _cancel_task(self) -> None:
        live = self.world.live
        open_ = sorted(live.open.values(), key=lambda each: each.order) if live else []
        task_id = self.dice.choice(open_).task_id if open_ else "none"
        self.world.ask(TaskCancelRequested(workspace_id=WORKSPACE, run_id=self.world.run_id, task_id=task_id))

    def _fork(self) -> None:
        """From any point of a run, whatever happens there; first it is told what that would be."""
        point = self.dice.randrange(len(self.world.facts))
        for dry_run in (True, False):
            ask = RunForkRequested(
                workspace_id=WORKSPACE, run_id=self.dice.choice(self.runs), offset=point, dry_run=dry_run
            )
            run_id = run_id_of(self.world.ask(ask))
        if isinstance(self.world.last[0], RunStarted):
            self.runs.append(run_id)
            self.world.run_id = run_id

    def _vote(self) -> None:
        for started in self._waiting("review")[:1]:
            self.world.hear(
                ReviewClosed(
                    workspace_id=WORKSPACE,
                    review_id=started.task_id,
                    run_id=started.run_id,
                    stage=started.stage,
                    execution=started.execution,
                    approved=self.dice.random() < 0.7,
                )
            )

    def _answer(self) -> None:
        for started in self._waiting("person")[:1]:
            self.world.ask(TaskAnswerRequested(workspace_id=WORKSPACE, run_id=started.run_id, task_id=started.task_id))

    def _waiting(self, waits_for: str) -> list[StageStarted]:
        live = self.world.live
        waits = live.open if live else {}
        found = [fact for fact in self.world.facts if isinstance(fact, StageStarted) and fact.waits_for == waits_for]
        return [fact for fact in found if fact.task_id in waits]


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 1 << 48), st.sampled_from([1, 2, 3, 5, turn.FACTS_MAX]))
def test_a_run_ends_and_all_that_began_in_it(seed: int, room: int) -> None:
    """`room` is how much a decision says, so that what is due is said in several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turn, "FACTS_MAX", room)
        patch.setattr(ending, "CANCELLED_MAX", room)
        patch.setattr(reuse, "PIECES_MAX", room)
        patch.setattr(fork, "PARTS_MAX", room)
        _play_out(seed)


def _play_out(seed: int) -> None:
    fate = Fate(random.Random(seed))
    if not fate.is_refused:
        fate.play_out()
        assert len(RUNS.deadlines(fate.world.state)) == 0
        for run_id in fate.runs:
            check_quiet([fact for fact in fate.world.facts if names(fact) == run_id])


def names(fact: Fact) -> str:
    """The run that a fact is about."""
    return fact.work.run_id if isinstance(fact, TaskRequested) else str(getattr(fact, "run_id", ""))


def check_quiet(facts: list[Fact]) -> None:
    """After the end: one end of the run, of each execution and of each attempt."""
    assert sum(isinstance(fact, RunEnded) for fact in facts) == 1
    is_fork = any(isinstance(fact, RunStarted) and fact.fork is not None for fact in facts)
    ends = [fact for fact in facts if isinstance(fact, StageCompleted | StageEnded)]
    began = {
        (fact.work.stage, fact.work.execution, fact.work.item)
        if isinstance(fact, TaskRequested)
        else (fact.stage, fact.execution, fact.item)
        for fact in facts
        if isinstance(fact, TaskRequested | StageStarted)
    }
    assert began <= {(fact.stage, fact.execution, fact.item) for fact in ends}
    requested = [fact for fact in facts if isinstance(fact, TaskRequested)]
    assert len({fact.attempt_id for fact in requested}) == len(requested)
    assert all(fact.attempt_id for fact in facts if isinstance(fact, CancelRequested))
    written = [(each.name, each.version) for fact in ends for each in fact.outputs]
    for name in {name for name, _ in written}:
        versions = [version for other, version in written if other == name]
        first = versions[0] if is_fork else 1  # a fork goes on counting
        assert versions == list(range(first, first + len(versions))), (name, versions)
    for stage in {fact.work.stage for fact in requested}:
        ordinals = [fact.work.ordinal for fact in requested if fact.work.stage == stage]
        first = ordinals[0] if is_fork else 1
        assert ordinals == list(range(first, first + len(ordinals)))


def test_the_dice_lead_to_every_kind_of_fact() -> None:
    said: set[type] = set()
    for seed in range(400):
        fate = Fate(random.Random(seed))
        if not fate.is_refused:
            fate.play_out()
        said |= {type(fact) for fact in fate.world.facts}
    missing = {kind.__name__ for kind in RUNS.says - said}
    assert missing <= {"ArtifactsConflicted", "TokensMoved"}, missing
