"""Groups of fields that say how the tokens of a run moved and what is to be done; only orchestrator.runs reads them."""

from bus.record import Value


class BranchMove(Value):
    """How a branch stands after a decision."""

    edge: int  # index of the branch in the definition
    owes: bool = False  # its token of this round is still to come
    queue: str = ""  # tokens that wait at its end, the first one first: t taken, s skipped, v void
    taken: int = 0  # how often it was taken in the run


class JoinMove(Value):
    """How the round of a join stands after a decision: what is first on its branches."""

    stage: int  # index in the definition
    arrived: int = 0  # branches on which a token waits
    taken: int = 0  # those whose first token is a taken one
    void: int = 0
    begun: bool = False  # the stage was begun in this round


class LoopMove(Value):
    """How a loop stands after a decision."""

    loop: int  # index in the graph
    open: int = 0  # executions under way in it
    owing: int = 0  # branches into it whose first token is still to come
    closed: bool = False  # the branches out of it that were never taken have sent their skipped tokens


class Due(Value):
    """What a decision concluded but had no room to say; said next, in this order."""

    stage: str
    execution: int
    item: int = -1
    what: str  # begin, skip, cancel; trigger, pass or resume an execution that waits
    detail: str = ""  # of a trigger, the result as JSON


class Moves(Value):
    """Everything that a decision changed in the token game of a run, or of the subflow that its fact is about."""

    branches: tuple[BranchMove, ...] = ()
    joins: tuple[JoinMove, ...] = ()
    loops: tuple[LoopMove, ...] = ()
    due: tuple[Due, ...] = ()
