"""Decides on asks for runs: started with everything that it needs, or refused with the reason."""

from __future__ import annotations

from bus.decider import Draft
from bus.record import Envelope
from services.definitions.nesting import NestingInvalid
from services.definitions.problem import DefinitionInvalid
from services.orchestrator import agenda
from services.orchestrator.definition import Definition, definition_of
from services.orchestrator.game import Game
from services.orchestrator.inputs import Refusal, inputs_of_run
from services.orchestrator.keys import KEY_CHARS_MAX, body_of
from services.orchestrator.run import Runs
from services.orchestrator.tokens import Play
from services.orchestrator.turn import Turn
from services.records.content import Artifact
from services.records.permission import find_lack
from services.records.schedule import ScheduledRunRequested
from services.records.task import RunForkRequested, RunFound, RunRefused, RunRequested, RunStarted, run_id_of

RUNS_MAX = 20_000
"""Most live runs of a partition."""

RUNS_IN_WORKSPACE_MAX = 10_000
"""Most live runs of a workspace, so that no one keeps the others of its partition out."""

REASON_CHARS_MAX = 4_000


def start(draft: Draft[Runs], heard: Envelope) -> None:
    """Start a run, or say why not; an ask that was answered before leads to nothing, nor does a key to a second run."""
    _answer(draft, heard.record, heard.id)


def start_scheduled(draft: Draft[Runs], heard: Envelope) -> None:
    """Start the run that a schedule was due for, under an id that follows from the schedule and the time."""
    due: ScheduledRunRequested = heard.record
    asked = RunRequested(
        workspace_id=due.workspace_id,
        actor=due.actor,
        workflow_id=due.start.workflow_id,
        definition=due.start.definition,
        inputs=due.start.inputs,
        professions=due.start.professions,
        tags={**due.start.tags, "schedule": due.schedule_id},
    )
    _answer(draft, asked, due.start_id)


def _answer(draft: Draft[Runs], asked: RunRequested, ask_id: str) -> None:
    run_id = run_id_of(ask_id)
    if run_id in draft.state.seen or run_id in draft.state.live:
        return
    body = body_of(asked) if asked.idempotency_key else ""
    try:
        check_permission(asked)
        if answer_again(draft, asked, ask_id, body):
            return
        check_room(draft.state, asked.workspace_id)
    except Refusal as refusal:
        refuse(draft, asked, ask_id, str(refusal))
        return
    try:
        definition = read(draft, asked.definition)
        inputs = tuple(inputs_of_run(definition.root.inputs, asked.inputs))
    except Refusal as refusal:
        refuse(draft, asked, ask_id, str(refusal), key=asked.idempotency_key, body=body)
        return
    _start(draft, asked, ask_id, definition, inputs, body)


def check_permission(asked: RunRequested | RunForkRequested) -> None:
    """Raises Refusal where the actor may not ask this."""
    if lack := find_lack(asked):
        raise Refusal(lack)


def answer_again(draft: Draft[Runs], asked: RunRequested | RunForkRequested, ask_id: str, body: str) -> bool:
    """Whether the key of the ask is known: then it gets the same answer. Raises Refusal for another body."""
    key = asked.idempotency_key
    if len(key) > KEY_CHARS_MAX:
        raise Refusal(f"the idempotency key has {len(key)} characters, more than {KEY_CHARS_MAX}")
    known = draft.state.keys.find(asked.workspace_id, key, draft.now_ms) if key else None
    if known is None:
        return False
    if known.body != body:
        raise Refusal(f"the idempotency key `{key}` was used for another ask, which led to {known.run_id}")
    if known.reason:
        raise Refusal(known.reason)
    draft.add(RunFound(workspace_id=asked.workspace_id, run_id=known.run_id, ask_id=ask_id))
    return True


def refuse(
    draft: Draft[Runs],
    asked: RunRequested | RunForkRequested,
    ask_id: str,
    reason: str,
    *,
    key: str = "",
    body: str = "",
) -> None:
    """Refuse for good under a key; without one, the same ask may be made again."""
    draft.add(
        RunRefused(
            workspace_id=asked.workspace_id,
            run_id=run_id_of(ask_id),
            ask_id=ask_id,
            reason=reason[:REASON_CHARS_MAX],
            idempotency_key=key,
            body=body,
        )
    )


def _start(
    draft: Draft[Runs],
    asked: RunRequested,
    ask_id: str,
    definition: Definition,
    inputs: tuple[Artifact, ...],
    body: str,
) -> None:
    run_id, level = run_id_of(ask_id), definition.root
    workflow = level.workflow
    turn = Turn(draft, run_id, definition, agenda)
    play = Play(level.graph, Game())
    play.start()
    turn.conclude(
        play,
        level,
        -1,
        lambda moves: RunStarted(
            workspace_id=asked.workspace_id,
            run_id=run_id,
            ask_id=ask_id,
            workflow_id=workflow.id,
            definition=asked.definition,
            inputs=inputs,
            actor=asked.actor,
            tags={**workflow.tags, **asked.tags},
            timeout_ms=workflow.timeout_ms or 0,
            idempotency_key=asked.idempotency_key,
            body=body,
            moves=moves,
        ),
        inputs=inputs,
    )
    turn.finish()


def check_room(state: Runs, workspace_id: str) -> None:
    """Raises Refusal where there are too many runs."""
    if state.counts.get(workspace_id, 0) >= RUNS_IN_WORKSPACE_MAX:
        most = f"{RUNS_IN_WORKSPACE_MAX} runs are under way in the workspace `{workspace_id}`"
        raise Refusal(f"{most}, which is the most; try again later")
    if len(state.live) >= RUNS_MAX:
        raise Refusal(f"{RUNS_MAX} runs are under way in this partition, which is the most; try again later")


def read(draft: Draft[Runs], digest: str) -> Definition:
    """The definition that was needed for the decision; raises Refusal."""
    data = draft.blobs.get(digest)
    if data is None:
        raise Refusal(f"the definition {digest} is not in the blob store")
    try:
        return definition_of(digest, data)
    except (DefinitionInvalid, NestingInvalid) as error:
        raise Refusal(f"the definition cannot be run: {error}") from error
