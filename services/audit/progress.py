"""The fold of a run's records into what a person wants to see of it while it runs and when it has ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from bus.record import Envelope, Record
from services.records.content import Artifact
from services.records.fork import Fork
from services.records.task import (
    AttemptFailed,
    RunEnded,
    RunPaused,
    RunRefused,
    RunResumed,
    RunStarted,
    StageCompleted,
    StageEnded,
    StageStarted,
    StateReused,
    TaskAssigned,
    TaskQueued,
    TaskRequested,
)
from services.records.telemetry import WorkerOutput

WATCHED: tuple[type[Record], ...] = (
    RunStarted,
    RunRefused,
    TaskRequested,
    TaskQueued,
    TaskAssigned,
    AttemptFailed,
    StageStarted,
    StageCompleted,
    StageEnded,
    StateReused,
    RunPaused,
    RunResumed,
    RunEnded,
)
"""What the progress of a run is folded from, all of it on the TaskChannel and under the key of its workspace."""

RunRecord: TypeAlias = RunStarted | RunRefused | RunEnded | StateReused | RunPaused | RunResumed

ENDED = frozenset({"completed", "failed", "skipped", "cancelled"})
LINE_CHARS_MAX = 200


class Key(NamedTuple):
    """One execution of a stage; `item` is -1 but for the items of a map."""

    stage: str
    execution: int
    item: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How far one execution of a stage is."""

    key: Key
    status: str  # requested, queued, assigned, retrying, waiting, or one of ENDED
    since_ms: int  # when the status was reached
    attempts: int = 0
    profession: str = ""
    instance_id: str = ""
    started_at_ms: int = 0  # when the worker began; 0 for never
    ended_at_ms: int = 0
    reason: str = ""
    line: str = ""  # the last that its worker printed

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED


class Progress:
    """One run as its records show it. Give it the envelopes of WATCHED types, in order; others are ignored."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.workspace_id = ""
        self.workflow_id = ""
        self.definition = ""  # digest
        self.fork: Fork | None = None  # where it comes from, if it is one
        self.status = "requested"  # running, paused, then completed, failed, cancelled or refused
        self.reason = ""
        self.started_at_ms = 0
        self.ended_at_ms = 0
        self.executions: dict[Key, Execution] = {}  # in the order of their beginnings
        self.ends: list[Key] = []  # in the order of the log
        self.artifacts: dict[str, Artifact] = {}  # the last version that a stage wrote, by name
        self._attempts: dict[str, Key] = {}
        self._maps: set[Key] = set()
        self._given: set[str] = set()  # names of its inputs

    @property
    def has_ended(self) -> bool:
        return self.status in ("completed", "failed", "cancelled", "refused")

    def apply(self, envelope: Envelope) -> Execution | None:
        """Take one record in; gives the execution that it changed, or None if it concerned the run or nothing here."""
        record, time_ms = envelope.record, envelope.time_ms
        if not self.concerns(record):
            return None
        match record:
            case RunStarted() | RunRefused() | RunEnded() | StateReused() | RunPaused() | RunResumed():
                self._apply_run(record, time_ms)
                return None
            case TaskRequested():
                return self._request(record, time_ms)
            case TaskQueued():
                return self._move(self._attempts.get(record.attempt_id), "queued", time_ms, reason=record.reason)
            case TaskAssigned():
                return self._assign(record, time_ms)
            case AttemptFailed():
                key = Key(record.stage, record.execution, record.item)
                status = "retrying" if record.retry_at_ms else "failing"
                return self._move(key, status, time_ms, reason=record.reason)
            case StageStarted():
                return self._wait(record, time_ms)
            case StageCompleted() | StageEnded():
                return self._end(record, time_ms)
            case WorkerOutput():
                return self._print(record)
        return None

    def concerns(self, record: Record) -> bool:
        """Whether a record names this run."""
        work = getattr(record, "work", None)
        return (work.run_id if work else getattr(record, "run_id", "")) == self.run_id

    def _apply_run(self, record: RunRecord, time_ms: int) -> None:
        if isinstance(record, StateReused):
            self._reuse(record)
            return
        if isinstance(record, RunPaused | RunResumed):
            self.status = "paused" if isinstance(record, RunPaused) else "running"
            return
        self.workspace_id = record.workspace_id
        if isinstance(record, RunStarted):
            self.status, self.started_at_ms, self.workflow_id = "running", time_ms, record.workflow_id
            self.definition, self.fork = record.definition, record.fork
            self._given = {artifact.name for artifact in record.inputs}
            return
        self.status = record.status if isinstance(record, RunEnded) else "refused"
        self.reason, self.ended_at_ms = record.reason, time_ms

    def _request(self, record: TaskRequested, time_ms: int) -> Execution:
        work = record.work
        key = Key(work.stage, work.execution, work.item)
        self._attempts[record.attempt_id] = key
        known = self.executions.get(key) or Execution(key=key, status="requested", since_ms=time_ms)
        self.executions[key] = replace(
            known,
            status="requested",
            since_ms=time_ms,
            attempts=record.attempt,
            profession=work.profession,
            reason="",
            line="",
        )
        return self.executions[key]

    def _wait(self, record: StageStarted, time_ms: int) -> Execution:
        key = Key(record.stage, record.execution, record.item)
        if record.items is not None:
            self._maps.add(key)
        known = self.executions.get(key) or Execution(key=key, status="waiting", since_ms=time_ms)
        self.executions[key] = replace(known, status="waiting", since_ms=time_ms, reason=_awaited(record))
        return self.executions[key]

    def _assign(self, record: TaskAssigned, time_ms: int) -> Execution | None:
        key = self._attempts.get(record.attempt_id)
        if key in self.executions:
            self.executions[key] = replace(self.executions[key], instance_id=record.instance_id)
        return self._move(key, "assigned", time_ms)

    def _move(self, key: Key | None, status: str, time_ms: int, *, reason: str = "") -> Execution | None:
        known = self.executions.get(key) if key else None
        if key is None or known is None or known.has_ended:
            return None
        self.executions[key] = replace(known, status=status, since_ms=time_ms, reason=reason)
        return self.executions[key]

    def _end(self, record: StageCompleted | StageEnded, time_ms: int) -> Execution:
        key = Key(record.stage, record.execution, record.item)
        known = self.executions.get(key)
        self.executions[key] = Execution(
            key=key,
            profession=known.profession if known else "",
            status=record.status if isinstance(record, StageEnded) else "completed",
            since_ms=time_ms,
            attempts=record.attempts,
            instance_id=record.instance_id or (known.instance_id if known else ""),
            started_at_ms=record.started_at_ms,
            ended_at_ms=time_ms,
            reason=record.reason if isinstance(record, StageEnded) else "",
        )
        self.ends.append(key)
        for artifact in record.outputs:
            newest = self.artifacts.get(artifact.name)
            if newest is None or newest.version < artifact.version:
                self.artifacts[artifact.name] = artifact
        return self.executions[key]

    def _reuse(self, record: StateReused) -> None:
        """What a fork took over of what the stages of the old run wrote."""
        for reused in record.artifacts:
            artifact = reused.artifact
            if reused.path:
                self.artifacts[f"{reused.path}/{artifact.name}"] = artifact
            elif artifact.version > 1 or artifact.name not in self._given:
                self.artifacts[artifact.name] = artifact

    def listed(self) -> Iterator[Execution]:
        """The executions that have ended, in the order of the log; of a map its items, if it has any."""
        gone_through = {(key.stage, key.execution) for key in self.ends if key.item >= 0}
        for key in self.ends:
            if key not in self._maps or (key.stage, key.execution) not in gone_through:
                yield self.executions[key]

    def _print(self, record: WorkerOutput) -> Execution | None:
        key = self._attempts.get(record.attempt_id)
        known = self.executions.get(key) if key else None
        if key is None or known is None or known.has_ended:
            return None
        self.executions[key] = replace(known, line=record.line.strip()[:LINE_CHARS_MAX])
        return self.executions[key]


def _awaited(record: StageStarted) -> str:
    """What an execution waits for, in a few words."""
    kind, _, name = record.waits_for.partition(":")
    if record.items is not None:
        return f"for {record.items.count} items" if record.items.count >= 0 else "for its list"
    if kind == "subflow":
        return "for its stages"
    return f"for {'the ' if name else ''}{kind} {name}".strip() if kind else ""


def summarise(progress: Progress, paths: Mapping[str, str]) -> dict[str, object]:
    """The object that `run --json` ends with. `paths` says where the content of an artifact was written."""
    return {
        "run_id": progress.run_id,
        "status": progress.status,
        **({"forked_from": forked_from(progress.fork)} if progress.fork else {}),
        "outputs": {
            name: {"version": each.version, "sha256": hex_of(each.digest), "path": paths.get(name)}
            for name, each in sorted(progress.artifacts.items())
        },
        "stages": list_stages(progress),
    }


def forked_from(fork: Fork) -> dict[str, object]:
    """Where a run comes from, as people are shown it."""
    return {"run_id": fork.run_id, "offset": fork.offset, "state": fork.digest}


def list_stages(progress: Progress) -> Sequence[dict[str, object]]:
    """One entry for each execution of a stage that has ended, in the order of the log."""
    return [_stage(execution) for execution in progress.listed()]


def _stage(execution: Execution) -> dict[str, object]:
    key = execution.key
    return {
        "id": key.stage,
        "execution": key.execution,
        **({"item": key.item} if key.item >= 0 else {}),
        "status": execution.status,
        "attempts": execution.attempts,
        "instance_id": execution.instance_id or None,
        "started_at": execution.started_at_ms or None,
        "ended_at": execution.ended_at_ms,
    }


def hex_of(digest: str) -> str:
    """The hexadecimal digits of a digest."""
    return digest.removeprefix("sha256:")
