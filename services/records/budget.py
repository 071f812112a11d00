"""Budgets of tokens and money on the EventChannel: what may be spent, what is given out, what was used.

A subject is one of `workspace`, `run:ID` and `instance:ID`; `run:*` and `instance:*` stand for each one of them. An
amount of -1 is no limit.
"""

from bus.record import Ask, Fact, Record, Report
from services.records.content import Usage

NO_LIMIT = -1

EACH = "*"


class BudgetSetRequested(Ask, channel="event", role="admin", scope="budgets:write"):
    """Limit what a subject may spend from now on; without any limit it may spend what it likes again."""

    workspace_id: str
    subject: str
    tokens: int = NO_LIMIT
    cost_micros: int = NO_LIMIT  # millionths of the currency unit


# Facts of allocator.budgets.


class BudgetSet(Fact, channel="event"):
    """This limit holds from here on. `limits` counts those of the workspace: while there are some, each attempt in it
    starts on its first tranche."""

    workspace_id: str
    subject: str
    tokens: int
    cost_micros: int
    limits: int
    ask_id: str


class BudgetRefused(Fact, channel="event"):
    """A limit was not set, with the reason in a sentence."""

    workspace_id: str
    subject: str
    ask_id: str
    reason: str


class TrancheGranted(Fact, channel="event"):
    """An attempt may use so much more. The node that has it lets it start on the first one."""

    workspace_id: str
    run_id: str
    attempt_id: str
    instance_id: str
    node_id: str
    node_session: str
    number: int  # 1, 2 …
    tokens: int
    cost_micros: int
    subjects: tuple[str, ...]  # whose budgets it is taken from
    expires_at_ms: int  # what nobody has accounted for by then is spent


class TrancheDeferred(Fact, channel="event"):
    """All that is left is given out to others: the attempt waits until they account for it."""

    workspace_id: str
    run_id: str
    attempt_id: str
    instance_id: str
    node_id: str
    node_session: str
    number: int
    subjects: tuple[str, ...]
    expires_at_ms: int
    reason: str


class TrancheRefused(Fact, channel="event"):
    """A budget is used up: the node stops the attempt, or does not start it."""

    workspace_id: str
    run_id: str
    attempt_id: str
    instance_id: str
    node_id: str
    node_session: str
    number: int
    subject: str
    reason: str


class TrancheSettled(Fact, channel="event"):
    """What an attempt has used of a tranche; it is spent."""

    workspace_id: str
    attempt_id: str
    number: int  # 0: it ended before it got one
    tokens: int
    cost_micros: int
    subjects: tuple[str, ...]
    final: bool
    reported: bool = True  # otherwise nobody said what was used, and all of it counts as spent


class BudgetCrossed(Fact, channel="event"):
    """A subject has spent so many percent of its budget; said once for each level until the budget is changed."""

    workspace_id: str
    subject: str
    unit: str  # tokens or cost_micros
    percent: int  # 50, 80 or 100
    spent: int
    limit: int


class BudgetClosed(Fact, channel="event"):
    """A run or instance has ended; its account is closed."""

    workspace_id: str
    subject: str


# Reports of nodes.


class UsageReported(Report, channel="event"):
    """What an attempt has used of its present tranche, because that is used up or the attempt has ended."""

    workspace_id: str
    run_id: str
    attempt_id: str
    instance_id: str
    node_id: str
    node_session: str
    incarnation: int
    number: int  # of the tranche; 0 if the attempt had none yet
    usage: Usage
    final: bool
    known: bool = True  # otherwise the worker died without a word, and all of the tranche counts as spent


RECORDS: tuple[type[Record], ...] = (
    BudgetSetRequested,
    BudgetSet,
    BudgetRefused,
    TrancheGranted,
    TrancheDeferred,
    TrancheRefused,
    TrancheSettled,
    BudgetCrossed,
    BudgetClosed,
    UsageReported,
)
