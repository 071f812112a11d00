"""Forks: a new run from a point of an old one, under way or ended long ago, with changed inputs or definition.

The old run is recalled as it was at the point and never touched. The first fact of the new one names it with its
digest; the facts after it take over what was done, so that the new run is the fold of its own facts like any other.
A rerun is a fork that changes nothing.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from bus.decider import Draft
from bus.digest import digest_of
from bus.memory import Memory, Recall, Recalled
from bus.record import DeadlineReached, Envelope, Fact
from services.definitions.versions import digest_of as content_digest_of
from services.orchestrator.definition import Definition
from services.orchestrator.fork_check import FAULTS_MAX, find_faults
from services.orchestrator.inputs import Refusal, inputs_of_run
from services.orchestrator.keys import body_of
from services.orchestrator.reuse import Legacy
from services.orchestrator.run import Forking, Run, Runs
from services.orchestrator.run_deadlines import GO_ON, parts_of
from services.orchestrator.starting import REASON_CHARS_MAX, answer_again, check_permission, check_room, read, refuse
from services.orchestrator.subflow import content_as
from services.records.content import INLINE_BYTES_MAX, Artifact, Content
from services.records.fork import Fork, ForkPlanned, RunForkRequested
from services.records.task import AskRefused, RunStarted, StageStarted, TaskRequested, run_id_of

PARTS_MAX = 4
"""Most parts of the old state that one decision takes over."""


class Plan(NamedTuple):
    """What a fork comes to."""

    old: Run
    before: Definition
    after: Definition
    digest: str  # of the definition
    inputs: tuple[Artifact, ...]
    fork: Fork


def fork(draft: Draft[Runs], heard: Envelope) -> None:
    """Start a run from a point of another, or say why not; or only say what that would be."""
    asked: RunForkRequested = heard.record
    state, run_id = draft.state, run_id_of(heard.id)
    if run_id in state.seen or run_id in state.live or heard.id in state.seen:
        return
    key = "" if asked.dry_run else asked.idempotency_key
    body = body_of(asked) if key else ""
    try:
        check_permission(asked)
        if key and answer_again(draft, asked, heard.id, body):
            return
        check_room(state, asked.workspace_id)
    except Refusal as refusal:
        _refuse(draft, asked, heard.id, str(refusal))
        return
    try:
        plan = _plan(draft, asked, _offset_of(heard))
    except Refusal as refusal:
        _refuse(draft, asked, heard.id, str(refusal), key, body)
        return
    if asked.dry_run:
        _tell(draft, asked, heard.id, plan)
        return
    workflow = plan.after.root.workflow
    started = RunStarted(
        workspace_id=asked.workspace_id,
        run_id=run_id,
        ask_id=heard.id,
        workflow_id=workflow.id,
        definition=plan.digest,
        inputs=plan.inputs,
        actor=asked.actor,
        tags={**workflow.tags, **asked.tags},
        timeout_ms=workflow.timeout_ms or 0,
        idempotency_key=key,
        body=body,
        fork=plan.fork,
    )
    draft.add(started)
    _take_over(draft, Legacy(plan.old, plan.before, draft.state.live[run_id], plan.after))


def _refuse(
    draft: Draft[Runs], asked: RunForkRequested, ask_id: str, reason: str, key: str = "", body: str = ""
) -> None:
    if not asked.dry_run:
        refuse(draft, asked, ask_id, reason, key=key, body=body)
        return
    reason = reason[:REASON_CHARS_MAX]
    draft.add(AskRefused(workspace_id=asked.workspace_id, run_id=asked.run_id, ask_id=ask_id, reason=reason))


def go_on_forking(draft: Draft[Runs], run: Run, definition: Definition) -> None:
    """Take over what the decision before had no room for."""
    assert draft.recalled is not None, "what a fork takes over was not recalled"
    old: Run = draft.recalled.state.live[_origin(run).run_id]
    _take_over(draft, Legacy(old, read(draft, old.definition), run, definition))


def _take_over(draft: Draft[Runs], legacy: Legacy) -> None:
    """What is under way begins in the decision after the last part, which knows the lists of its maps."""
    first = _origin(legacy.new).part
    for part in legacy.parts():
        if first <= part.part < first + PARTS_MAX:
            draft.add(part)


def _origin(run: Run) -> Forking:
    assert run.fork is not None, f"{run.run_id} takes nothing over"
    return run.fork


def _offset_of(heard: Envelope) -> int:
    return heard.at.offset if heard.at else 0


# What it comes to.


def _plan(draft: Draft[Runs], asked: RunForkRequested, now_offset: int) -> Plan:
    recalled = draft.recalled
    if bool(asked.stage) == (asked.offset >= 0) or recalled is None:
        raise Refusal("a fork begins at a stage or at an offset: name one of them")
    if asked.offset >= now_offset:
        raise Refusal(f"offset {asked.offset} is not yet written; the log of the run has come to {now_offset}")
    old = _old_run(recalled, asked)
    before = read(draft, old.definition)
    digest = asked.definition or old.definition
    after = read(draft, digest)
    if faults := find_faults(old, before, after) if digest != old.definition else []:
        more = f"; and {len(faults) - FAULTS_MAX} more" if len(faults) > FAULTS_MAX else ""
        raise Refusal("the changed definition does not go with what was done: " + "; ".join(faults[:FAULTS_MAX]) + more)
    origin = Fork(
        run_id=old.run_id,
        offset=recalled.offset,
        time_ms=recalled.time_ms,
        digest=digest_of(old),
        workflow_id=before.root.workflow.id,
        definition=old.definition,
    )
    return Plan(old, before, after, digest, tuple(_inputs(old, after, asked.inputs)), origin)


def _old_run(recalled: Recalled, asked: RunForkRequested) -> Run:
    """The old run at the point; raises Refusal."""
    state, run_id, where = recalled.state, asked.run_id, f"at offset {asked.offset}"
    old: Run | None = state.live.get(run_id)
    if old is not None and old.workspace_id != asked.workspace_id:
        raise Refusal(f"workspace `{asked.workspace_id}` has no run {run_id}")
    if recalled.offset < 0 and asked.stage:
        raise Refusal(f"workspace `{asked.workspace_id}` has no run {run_id} in which {_named(asked)} began")
    if recalled.offset < 0 or run_id not in state.seen:
        raise Refusal(f"workspace `{asked.workspace_id}` has no run {run_id} that had begun {where}")
    if old is None or old.ending:
        place = f"the decision at offset {recalled.offset} in which {_named(asked)} began" if asked.stage else where
        raise Refusal(f"{run_id} has ended, or was to end, {place}; name a point before")
    if old.fork is not None:
        raise Refusal(f"{run_id} was itself taking over another run {where}; name a later point, or that run")
    if asked.stage and not any(e.stage == asked.stage for e in old.open.values()):
        raise Refusal(f"{_named(asked)} began and ended in one decision, at offset {recalled.offset}; name one before")
    return old


def _named(asked: RunForkRequested) -> str:
    return f"`{asked.stage}`" + (f" (execution {asked.execution})" if asked.execution else "")


def _inputs(old: Run, after: Definition, changed: tuple[Content, ...]) -> list[Artifact]:
    """The inputs as they are, but those that change, which become the newest versions of their names; Refusal."""
    declared = after.root.inputs
    known = {artifact.name: artifact for artifact in old.inputs if artifact.name in declared}
    names = [content.name for content in changed]
    if len(set(names)) < len(names):
        raise Refusal("an input is given twice")
    kept = tuple([content_as(name, artifact) for name, artifact in known.items() if name not in names])
    found = []
    for artifact in inputs_of_run(declared, (*kept, *changed)):
        same = known.get(artifact.name)
        if same is not None and (same.digest, same.media_type) == (artifact.digest, artifact.media_type):
            found.append(same)
        else:
            newest = old.newest(artifact.name)
            found.append(artifact.model_copy(update={"version": newest + 1, "base_version": newest}))
    return found


# What is told beforehand.


def _tell(draft: Draft[Runs], asked: RunForkRequested, ask_id: str, plan: Plan) -> None:
    new = plan.old._replace(inputs=plan.inputs, definition=plan.digest, fork=Forking(plan.old.run_id, 0, 0))
    legacy = Legacy(plan.old, plan.before, new, plan.after)
    data = json.dumps(_describe(plan, legacy), ensure_ascii=False, separators=(",", ":")).encode()
    inline = data if len(data) <= INLINE_BYTES_MAX else None
    digest = content_digest_of(data) if inline is not None else draft.keep(data)
    content = Content(name="plan", digest=digest, size=len(data), media_type="application/json", inline=inline)
    draft.add(ForkPlanned(workspace_id=asked.workspace_id, ask_id=ask_id, fork=plan.fork, plan=content))


def _describe(plan: Plan, legacy: Legacy) -> dict[str, object]:
    games = [plan.old.game, *(flow.game for _, flow in sorted(plan.old.inner.flows.items()))]
    stages = [(name, state) for game in games for name, state in sorted(game.stages.items())]
    inputs = {artifact.name: artifact for artifact in plan.inputs}
    return {
        "stages": [
            {"id": name, "executions": ended, "completed": state.completed}
            for name, state in stages
            if (ended := state.executions - len(state.open)) > 0
        ],
        "artifacts": [_version(artifact) for artifact in legacy.artifacts()],
        "inputs": [_version(inputs[name]) for name in sorted(inputs)],
        "anew": [
            {"id": e.stage, "execution": e.number, **({"item": e.item} if e.item >= 0 else {})} for e in legacy.anew
        ],
    }


def _version(artifact: Artifact) -> dict[str, object]:
    return {"name": artifact.name, "version": artifact.version, "sha256": artifact.digest.removeprefix("sha256:")}


# What is recalled.


def _wants(state: Runs, heard: Envelope) -> Recall | None:
    record = heard.record
    if isinstance(record, RunForkRequested):
        if heard.id in state.seen or run_id_of(heard.id) in state.seen or bool(record.stage) == (record.offset >= 0):
            return None
        return Recall(record.run_id, _offset_of(heard), record.offset, f"{record.execution}#{record.stage}")
    if not isinstance(record, DeadlineReached):
        return None
    kind, run_id, _ = parts_of(record.id)
    run = state.live.get(run_id)
    if kind != GO_ON or run is None or run.fork is None:
        return None
    return Recall(run.fork.run_id, run.fork.offset + 1, run.fork.offset)


def _needs(recalled: Recalled, heard: Envelope) -> tuple[str, ...]:
    """The definition of the old run, too."""
    return tuple([run.definition for run in recalled.state.live.values()])


def _concerns(run_id: str, fact: Fact) -> bool:
    return (fact.work.run_id if isinstance(fact, TaskRequested) else getattr(fact, "run_id", "")) == run_id


def _marks(mark: str, fact: Fact) -> bool:
    """Whether an execution of the stage begins, or may."""
    execution, _, stage = mark.partition("#")
    if isinstance(fact, TaskRequested):
        work, is_first = fact.work, fact.attempt == 1
        return is_first and work.stage == stage and execution in ("0", str(work.execution)) and not _is_item(fact)
    if not isinstance(fact, StageStarted) or fact.stage != stage or execution not in ("0", str(fact.execution)):
        return False
    return fact.items is None or fact.items.count < 0


def _is_item(fact: TaskRequested) -> bool:
    """Of a map of the outermost workflow; inside subflows it may also be an item of what is around it."""
    return fact.work.item >= 0 and "/" not in fact.work.stage


MEMORY = Memory(wants=_wants, needs=_needs, concerns=_concerns, marks=_marks)
