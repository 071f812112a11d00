"""TaskChannel: runs, their tasks, assignments and results."""

from collections.abc import Mapping

from bus.record import Ask, Fact, Record, Report, Value, derive_id
from services.records.content import Artifact, Content, Read, Usage, Work
from services.records.token import Moves


def run_id_of(ask_id: str) -> str:
    """Id of the run that an ask leads to, so that whoever asks can follow the run from the start."""
    return f"run-{derive_id('run', ask_id)[:16]}"


class RunRequested(Ask, channel="task"):
    """Start a run of a workflow. The definition is canonical JSON in the blob store."""

    workspace_id: str
    workflow_id: str
    definition: str  # digest
    inputs: tuple[Content, ...] = ()
    professions: Mapping[str, str] = {}  # digests of the professions that the definition names, by id
    tags: Mapping[str, str] = {}


class RunCancelRequested(Ask, channel="task"):
    """End a run now; its unfinished stages are cancelled."""

    workspace_id: str
    run_id: str
    reason: str = ""


class SignalRequested(Ask, channel="task"):
    """Trigger the stages of a run that wait for this signal."""

    workspace_id: str
    run_id: str
    signal: str
    payload: str = "{}"  # JSON


class TaskAnswerRequested(Ask, channel="task"):
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
    moves: Moves | None = None


class RunRefused(Fact, channel="task"):
    """The ask for a run led to none, with the reason in a sentence."""

    workspace_id: str
    run_id: str
    ask_id: str
    reason: str


class TaskRequested(Fact, channel="task"):
    """Asks the roster for one attempt at a task."""

    workspace_id: str
    task_id: str
    attempt: int  # 1, 2 … within this execution
    attempt_id: str
    work: Work


class AttemptFailed(Fact, channel="task"):
    """An attempt ended without a result that counts; the task is tried again at `retry_at_ms`, or not (0)."""

    workspace_id: str
    run_id: str
    stage: str
    execution: int
    item: int = -1
    task_id: str
    attempt_id: str
    code: str  # error, timeout, queue_timeout, worker_lost, refused
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


class StageStarted(Fact, channel="task"):
    """A stage execution began that needs no worker, or whose work is more than one task (wait, subflow, map,
    review)."""

    workspace_id: str
    run_id: str
    stage: str
    execution: int
    item: int = -1
    task_id: str = ""
    waits_for: str = ""  # mutex:NAME, signal:NAME, stage:ID, time, review or person; empty for an end
    until_ms: int = 0  # when the wait is over at the latest; 0 for never
    detail: str = "{}"  # JSON by kind of stage


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
    status: str  # failed, skipped, cancelled
    code: str = ""
    reason: str = ""
    outputs: tuple[Artifact, ...] = ()  # partial output
    tokens: tuple[Token, ...] = ()
    moves: Moves | None = None
    started_at_ms: int = 0


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
    """Nothing of the run goes on from here; what is under way is cancelled before it ends."""

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


# Facts of router.roster.


class Reason(Value):
    """One part of a score, and why."""

    part: str
    score: float
    note: str = ""


class Candidate(Value):
    """An instance that was considered."""

    instance_id: str
    score: float
    note: str = ""


class TaskAssigned(Fact, channel="task"):
    """This instance gets this attempt, for these reasons. The node that holds the instance acts on it."""

    workspace_id: str
    task_id: str
    attempt_id: str
    instance_id: str
    node_id: str
    node_session: str
    incarnation: int
    deadline_ms: int
    work: Work
    reasons: tuple[Reason, ...] = ()
    runners_up: tuple[Candidate, ...] = ()


class TaskQueued(Fact, channel="task"):
    """No instance can take the attempt now; it waits, and why."""

    workspace_id: str
    task_id: str
    attempt_id: str
    work: Work
    reason: str


class InstanceNeeded(Fact, channel="task"):
    """The roster wants one more instance of a profession, because tasks wait for it."""

    workspace_id: str
    need_id: str
    profession: str
    agent: str = ""
    reason: str = ""


class NeedEnded(Fact, channel="task"):
    """An instance that tasks wait for will not come, or an answer to the need has not come in time."""

    workspace_id: str
    need_id: str = ""  # empty when the instance was not made for a need of the roster
    profession: str
    code: str  # refused, failed (in its creation), timeout
    reason: str


class AssignmentsDeferred(Fact, channel="task"):
    """More tasks of a profession can be assigned than one decision holds: the roster goes on at once. When it does, it
    says `deferred` false."""

    workspace_id: str
    profession: str
    deferred: bool = True


class TasksSettled(Fact, channel="task"):
    """These attempts are over; their slots are free."""

    workspace_id: str
    attempts: tuple[str, ...]
    failed: tuple[str, ...] = ()  # those of them that ended without a good result


class AttemptCancelled(Fact, channel="task"):
    """The node must stop this attempt and report its end; without an instance it was still in the queue."""

    workspace_id: str
    run_id: str
    task_id: str
    attempt_id: str
    instance_id: str = ""
    node_id: str = ""
    reason: str


class TaskLost(Fact, channel="task"):
    """An attempt will bring no result; only runs retries."""

    workspace_id: str
    run_id: str
    task_id: str
    attempt_id: str
    instance_id: str = ""
    code: str  # timeout, queue_timeout, worker_lost, refused
    reason: str


class RosterChanged(Fact, channel="task"):
    """The roster took note of an instance: on its way, added, changed, draining or removed."""

    workspace_id: str
    instance_id: str
    status: str  # coming (it has no worker yet, or none any more), ready, draining, gone
    profession: str = ""
    agent: str = ""
    node_id: str = ""
    node_session: str = ""
    incarnation: int = 0
    slots: int = 0
    skills: Mapping[str, int] = {}
    on_demand: bool = False
    need_id: str = ""  # the need that this instance answers
    reason: str = ""


class InstanceVacated(Fact, channel="task"):
    """Nothing is assigned to this instance and nothing will be."""

    workspace_id: str
    instance_id: str


class InstanceIdle(Fact, channel="task"):
    """An instance that was made on demand has had nothing to do for its idle time; it may go."""

    workspace_id: str
    instance_id: str
    idle_ms: int


# Reports of nodes.


class TaskCompleted(Report, channel="task"):
    """An attempt ended well. Each attempt is answered by exactly one TaskCompleted or TaskFailed."""

    workspace_id: str
    run_id: str
    stage: str
    task_id: str
    attempt_id: str
    instance_id: str
    node_id: str
    node_session: str
    incarnation: int
    result: str = "{}"  # JSON
    outputs: tuple[Content, ...] = ()
    reads: tuple[Read, ...] = ()
    quality: float = -1.0  # 0 to 1 as the agent states it; below 0 for none
    usage: Usage | None = None
    started_at_ms: int = 0


class TaskFailed(Report, channel="task"):
    """An attempt ended without a good result; partial output is kept."""

    workspace_id: str
    run_id: str
    stage: str
    task_id: str
    attempt_id: str
    instance_id: str
    node_id: str
    node_session: str
    incarnation: int
    code: str  # error, timeout, cancelled, worker_lost
    reason: str
    outputs: tuple[Content, ...] = ()
    usage: Usage | None = None
    started_at_ms: int = 0


RECORDS: tuple[type[Record], ...] = (
    RunRequested,
    RunCancelRequested,
    SignalRequested,
    TaskAnswerRequested,
    RunStarted,
    RunRefused,
    TaskRequested,
    AttemptFailed,
    CancelRequested,
    StageStarted,
    ReviewRequested,
    StageCompleted,
    StageEnded,
    ArtifactsConflicted,
    ResultRefused,
    AskRefused,
    RunEnding,
    RunEnded,
    TaskAssigned,
    TaskQueued,
    InstanceNeeded,
    NeedEnded,
    AssignmentsDeferred,
    TasksSettled,
    AttemptCancelled,
    TaskLost,
    RosterChanged,
    InstanceVacated,
    InstanceIdle,
    TaskCompleted,
    TaskFailed,
)
