"""Runs on the TaskChannel: what people ask of them, and the facts of orchestrator.runs."""

from collections.abc import Mapping

from bus.record import Ask, Fact, Record, Value, derive_id
from services.records.content import Artifact, Content, Read, Usage, Work
from services.records.fork import Fork
from services.records.token import Moves


def run_id_of(ask_id: str) -> str:
    """Id of the run that an ask leads to, so that whoever asks can follow the run from the start."""
    return f"run-{derive_id('run', ask_id)[:16]}"


class RunRequested(Ask, channel="task", scope="runs:write"):
    """Start a run of a workflow. The definition is canonical JSON in the blob store."""

    workspace_id: str
    workflow_id: str
    definition: str  # digest
    inputs: tuple[Content, ...] = ()
    professions: Mapping[str, str] = {}  # digests of the professions that the definition names, by id
    tags: Mapping[str, str] = {}


class RunCancelRequested(Ask, channel="task", scope="runs:write"):
    """End a run now; its unfinished stages are cancelled."""

    workspace_id: str
    run_id: str
    reason: str = ""


class SignalRequested(Ask, channel="task", scope="runs:write"):
    """Trigger the stages of a run that wait for this signal."""

    workspace_id: str
    run_id: str
    signal: str
    payload: str = "{}"  # JSON


class TaskAnswerRequested(Ask, channel="task", role="approver", scope="tasks:write"):
    """A person's answer to a task of a `human` stage."""

    workspace_id: str
    run_id: str
    task_id: str
    result: str = "{}"  # JSON
    outputs: tuple[Content, ...] = ()


# Facts of orchestrator.runs.


class RunStarted(Fact, channel="task"):
    """A run exists from here on; it keeps this definition for life."""

    workspace_id: str
    run_id: str
    ask_id: str
    workflow_id: str
    definition: str
    inputs: tuple[Artifact, ...] = ()
    actor: str = ""
    tags: Mapping[str, str] = {}
    timeout_ms: int = 0  # of the whole run; 0 for none
    idempotency_key: str = ""
    body: str = ""  # digest of what was asked for under the key
    moves: Moves | None = None
    fork: Fork | None = None  # where it comes from, if it is one


class RunRefused(Fact, channel="task"):
    """The ask for a run led to none, with the reason in a sentence."""

    workspace_id: str
    run_id: str
    ask_id: str
    reason: str
    idempotency_key: str = ""  # whoever asks again under this key is refused for the same reason
    body: str = ""


class RunFound(Fact, channel="task"):
    """The ask for a run named one that an earlier ask with the same key had led to."""

    workspace_id: str
    run_id: str  # of the run that is there
    ask_id: str


class TaskRequested(Fact, channel="task"):
    """Asks the roster for one attempt at a task."""

    workspace_id: str
    task_id: str
    attempt: int  # 1, 2 … within this execution
    attempt_id: str
    work: Work
    mutexes: tuple[str, ...] = ()  # what the execution holds from here on


class AttemptFailed(Fact, channel="task"):
    """An attempt ended without a result that counts; the task is tried again at `retry_at_ms`, or not (0)."""

    workspace_id: str
    run_id: str
    stage: str
    execution: int
    item: int = -1
    task_id: str
    attempt_id: str
    code: str  # error, timeout, queue_timeout, worker_lost, refused, quality
    reason: str
    retry_at_ms: int = 0


class CancelRequested(Fact, channel="task"):
    """Runs no longer wants an attempt; the roster sees to it."""

    workspace_id: str
    run_id: str
    task_id: str
    attempt_id: str
    reason: str


class Token(Value):
    """One token that an ended stage sent along an edge: taken or skipped."""

    edge: int  # index in the definition's list of edges
    taken: bool


class Items(Value):
    """What a map goes through."""

    over: Artifact  # the list
    count: int = -1  # of its items; below 0 as long as the list has not been read
    parallel_max: int = 0  # most items under way at once
    collect: bool = False


class StageStarted(Fact, channel="task"):
    """A stage execution began that needs no worker, or whose work is more than one task (wait, subflow, map,
    review). Said again when it waits for something else."""

    workspace_id: str
    run_id: str
    stage: str
    execution: int
    item: int = -1
    task_id: str = ""
    # mutex:NAME, signal:NAME, stage:ID, time, date, review, person, items or subflow; empty for an end
    waits_for: str = ""
    until_ms: int = 0  # when the wait is over at the latest; 0 for never
    detail: str = "{}"  # JSON by kind of stage
    mutexes: tuple[str, ...] = ()  # what it holds or waits for from here on
    items: Items | None = None  # of a map
    inputs: tuple[Artifact, ...] = ()  # of a subflow
    moves: Moves | None = None  # of a subflow, whose tokens start


class StageStopping(Fact, channel="task"):
    """A map, an item of one or a subflow is to end so as soon as its parts have, which are cancelled."""

    workspace_id: str
    run_id: str
    stage: str
    execution: int
    item: int = -1
    task_id: str
    status: str  # completed, failed or cancelled
    code: str = ""
    reason: str = ""
    ask_id: str = ""  # of the ask that cancelled it
    told: bool = False  # the token game knows of its end already


class ReviewRequested(Fact, channel="task"):
    """Asks for a review: who may answer, how many must approve, and what becomes of it in time."""

    workspace_id: str
    review_id: str
    run_id: str
    stage: str
    execution: int
    by: tuple[str, ...]  # "role:NAME", "profession:NAME", "person:NAME" or "instance:ID"; empty: anybody
    quorum: int = 1
    subject: tuple[Read, ...] = ()  # what is judged; a vote must have seen it
    timeout_ms: int = 0  # 0 for none
    on_timeout: str = "reject"  # approve, reject, escalate
    escalate_to: str = ""


class StageCompleted(Fact, channel="task"):
    """A stage execution has its result and outputs."""

    workspace_id: str
    run_id: str
    stage: str
    execution: int
    item: int = -1
    task_id: str = ""
    attempt_id: str = ""
    attempts: int = 1
    instance_id: str = ""
    ask_id: str = ""  # of the signal or answer that completed it
    result: str = "{}"  # JSON
    outputs: tuple[Artifact, ...] = ()
    reads: tuple[Read, ...] = ()
    tokens: tuple[Token, ...] = ()
    moves: Moves | None = None
    started_at_ms: int = 0
    usage: Usage | None = None
    compensation: str = ""  # the stage that undoes it if the run fails or is cancelled


class StageEnded(Fact, channel="task"):
    """A stage execution ended without a result: failed, skipped or cancelled, and why."""

    workspace_id: str
    run_id: str
    stage: str
    execution: int
    item: int = -1
    task_id: str = ""
    attempts: int = 0
    instance_id: str = ""
    ask_id: str = ""  # of the ask that cancelled it
    status: str  # failed, skipped, cancelled
    code: str = ""
    reason: str = ""
    outputs: tuple[Artifact, ...] = ()  # partial output
    tokens: tuple[Token, ...] = ()
    moves: Moves | None = None
    started_at_ms: int = 0


class TokensMoved(Fact, channel="task"):
    """More of the moves of the fact before it in the same decision, which alone had no room for them."""

    workspace_id: str
    run_id: str
    level: str = ""  # prefix of the stages of the subflow that they are about; empty for the run's own
    item: int = -1
    moves: Moves


class ArtifactsConflicted(Fact, channel="task"):
    """Two stages of a run wrote from one base version."""

    workspace_id: str
    run_id: str
    name: str
    base_version: int
    kept: int  # version that stands
    rejected: Artifact
    stage: str
    execution: int


class ResultRefused(Fact, channel="task"):
    """A report about an attempt that is not open was not applied."""

    workspace_id: str
    run_id: str
    task_id: str
    attempt_id: str
    reason: str


class AskRefused(Fact, channel="task"):
    """An ask about a run led to nothing, with the reason in a sentence."""

    workspace_id: str
    run_id: str
    ask_id: str
    reason: str


class RunEnding(Fact, channel="task"):
    """Nothing of the run goes on from here; what is under way is cancelled before it ends. Unless it completes, its
    stages are undone then, one after the other, the last one to complete first."""

    workspace_id: str
    run_id: str
    ask_id: str = ""  # of the ask that cancelled it
    status: str  # completed, failed, cancelled
    reason: str = ""


class RunEnded(Fact, channel="task"):
    """The end of a run."""

    workspace_id: str
    run_id: str
    status: str  # completed, failed, cancelled
    reason: str = ""


RECORDS: tuple[type[Record], ...] = (
    RunRequested,
    RunCancelRequested,
    SignalRequested,
    TaskAnswerRequested,
    RunStarted,
    RunRefused,
    RunFound,
    TaskRequested,
    AttemptFailed,
    CancelRequested,
    StageStarted,
    StageStopping,
    ReviewRequested,
    StageCompleted,
    StageEnded,
    TokensMoved,
    ArtifactsConflicted,
    ResultRefused,
    AskRefused,
    RunEnding,
    RunEnded,
)
