"""Tasks on the TaskChannel: the facts of router.roster, and the reports of nodes that answer them."""

from collections.abc import Mapping

from bus.record import Fact, Record, Report, Value
from services.records.content import Content, Read, Terms, Usage, Work

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


class Fit(Value):
    """How well a profession suits a task, and which words or skills say so."""

    profession: str
    score: float
    note: str = ""


class Pick(Value):
    """How a profession was found for a task that names none."""

    matcher: str  # version of what compared them; empty where the skills alone decided
    certainty: float  # 0 to 1; below a half it is asked for
    ranked: tuple[Fit, ...]  # the first few
    chosen_by: str = ""  # who answered, where it was asked for


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
    pick: Pick | None = None  # where the task named no profession
    budgeted: bool = False  # it starts on its first tranche
    quality_threshold: float = 0.0  # of who does it: a result that states less is sent back


class TaskQueued(Fact, channel="task"):
    """No instance can take the attempt now; it waits, and why."""

    workspace_id: str
    task_id: str
    attempt_id: str
    work: Work
    reason: str
    pick: Pick | None = None  # where the task named no profession


class TaskDoubted(Fact, channel="task"):
    """No profession is clearly the right one for a task that names none: the review with the id of the attempt asks
    which of the choices to take, and the answer goes on from here."""

    workspace_id: str
    task_id: str
    attempt_id: str
    work: Work
    pick: Pick
    choices: tuple[str, ...]  # professions, the most suitable first
    reason: str


class InstanceNeeded(Fact, channel="task"):
    """The roster wants one more instance of a profession, because tasks wait for it."""

    workspace_id: str
    need_id: str
    profession: str
    agent: str = ""
    reason: str = ""
    profession_digest: str = ""


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


class CrewSized(Fact, channel="task"):
    """The warm pool of a profession is known to the roster: it asks for no more instances than this."""

    workspace_id: str
    profession: str
    most: int
    idle_ms: int  # after so long without a task an instance of it may go


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
    terms: Terms | None = None


class WorkspaceBudgeted(Fact, channel="task"):
    """Whether attempts of this workspace start on their first tranche, because there are budgets in it."""

    workspace_id: str
    budgeted: bool


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
    quality_threshold: float = 0.0  # that it was assigned with
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
    code: str  # error, timeout, cancelled, worker_lost, budget
    reason: str
    outputs: tuple[Content, ...] = ()
    usage: Usage | None = None
    started_at_ms: int = 0


RECORDS: tuple[type[Record], ...] = (
    TaskAssigned,
    TaskQueued,
    TaskDoubted,
    InstanceNeeded,
    NeedEnded,
    AssignmentsDeferred,
    CrewSized,
    TasksSettled,
    AttemptCancelled,
    TaskLost,
    RosterChanged,
    WorkspaceBudgeted,
    InstanceVacated,
    InstanceIdle,
    TaskCompleted,
    TaskFailed,
)
