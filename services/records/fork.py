"""Forks of runs on the TaskChannel: a new run that begins at a point of an old one, and takes over what was done."""

from collections.abc import Mapping

from bus.record import Ask, Fact, Record, Value
from services.records.content import Artifact, Content
from services.records.token import Due, Moves


class RunForkRequested(Ask, channel="task", scope="runs:write"):
    """Start a run from a point of another one, under way or ended; with nothing changed it is a rerun.

    The point is the end of the decision that `offset` is in or before or, below 0, the one in which `stage` began.
    """

    workspace_id: str
    run_id: str  # the old one
    offset: int = -1  # on the partition of the run
    stage: str = ""
    execution: int = 0  # of the stage; 0 for its last
    definition: str = ""  # digest of a changed one; empty: the run's own
    inputs: tuple[Content, ...] = ()  # those that change
    professions: Mapping[str, str] = {}  # digests of those that a changed definition names, by id
    tags: Mapping[str, str] = {}
    dry_run: bool = False  # only say what would be taken over


class Fork(Value):
    """Where a run comes from."""

    run_id: str
    offset: int  # of the last fact of the decision that it begins after
    time_ms: int  # of that decision
    digest: str  # of the old run's state there
    workflow_id: str = ""
    definition: str = ""  # the old run's


class ForkPlanned(Fact, channel="task"):
    """What a fork would take over, and what would be asked for anew; nothing was started."""

    workspace_id: str
    ask_id: str
    fork: Fork
    plan: Content  # JSON: stages, artifacts, anew


class ReusedStage(Value):
    """How often a stage has run up to the point."""

    stage: str
    item: int = -1  # of the map that the subflow around it is in
    executions: int
    attempts: int = 0
    completed: int = 0
    began_ms: int = 0  # moved on by the time since the point


class ReusedMoves(Value):
    """Where the tokens of one token game stand."""

    path: str = ""  # of the subflow; empty for the run
    item: int = -1
    moves: Moves


class ReusedArtifact(Value):
    """The newest version of an artifact of the run or of a subflow."""

    path: str = ""
    item: int = -1
    artifact: Artifact


class ReusedFlow(Value):
    """A subflow under way."""

    path: str
    item: int = -1
    execution: int
    inputs: tuple[Artifact, ...] = ()


class ReusedParts(Value):
    """A map or a subflow under way, and how far it is."""

    stage: str
    execution: int
    item: int = -1
    mutexes: tuple[str, ...] = ()
    over: Artifact | None = None  # what a map goes through
    count: int = -1
    parallel_max: int = 0
    collect: bool = False
    begun: int = 0
    completed: int = 0
    status: str = ""  # that it is to end with, if it is to
    code: str = ""
    reason: str = ""


class ReusedItem(Value):
    """What an item of a map gave."""

    stage: str
    execution: int
    item: int
    result: str = ""
    outputs: tuple[Artifact, ...] = ()


class ReusedCount(Value):
    """A count of what runs in subflows."""

    kind: str  # attempts of a stage, or versions of an artifact
    name: str
    count: int


class ReusedPast(Value):
    """How often a stage ran in subflows that have ended."""

    key: str  # of the subflow
    stage: str
    executions: int


class StateReused(Fact, channel="task"):
    """A part of the old run's state that a fork takes over; it goes on once it has the last one.

    Within one fact the fields are taken over in their order.
    """

    workspace_id: str
    run_id: str
    part: int  # 0, 1 …
    is_last: bool = False
    flows: tuple[ReusedFlow, ...] = ()
    stages: tuple[ReusedStage, ...] = ()
    moves: tuple[ReusedMoves, ...] = ()
    artifacts: tuple[ReusedArtifact, ...] = ()
    parts: tuple[ReusedParts, ...] = ()
    items: tuple[ReusedItem, ...] = ()
    counts: tuple[ReusedCount, ...] = ()
    past: tuple[ReusedPast, ...] = ()
    due: tuple[Due, ...] = ()


RECORDS: tuple[type[Record], ...] = (RunForkRequested, ForkPlanned, StateReused)
