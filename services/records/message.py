"""Messages between instances: the specification's CollaborationMessage, the asks on the four channels, and the facts of
router.conversations on the TaskChannel."""

from bus.record import Ask, Fact, Record, Report, Value
from services.records.content import Content

PAYLOAD_BYTES_MAX = 1024 * 1024
"""Largest payload."""

PAYLOAD_INLINE_BYTES_MAX = 32 * 1024
"""Largest payload that stands in the record itself; above it the content is in the blob store under its digest."""

EXPIRY_MS = 3_600_000
"""How long a message lives that does not say how long."""

EXPIRY_MS_MAX = 7 * 24 * 3_600_000
"""How long a message may live."""

PRIORITY_MAX = 9
"""Highest priority; the lowest is the same below 0."""

NAME_LENGTH_MAX = 200
"""Characters of an address or a message type."""


class MessageContext(Value):
    """What a message belongs to, and how it is to be treated."""

    workflow_id: str = ""  # of a worker's message, its run
    stage_id: str = ""
    task_id: str = ""
    trace_id: str = ""
    priority: int = 0
    requires_ack: bool = False  # it counts as received when the program says so, not when it is handed over


class Message(Value):
    """A CollaborationMessage."""

    message_id: str
    source_instance: str  # "person:NAME" for a person's
    target_instance: str  # instance:ID, profession:NAME, team:NAME, person:NAME or all
    message_type: str
    payload: Content  # JSON
    context: MessageContext
    created_at_ms: int
    expires_at_ms: int
    reply_to: str = ""  # the message that this one answers


class MessageRequested(Ask):
    """Send a message. Which of the types below it is, the message type says; only workers name a source."""

    workspace_id: str
    run_id: str = ""
    attempt_id: str = ""
    source_instance: str = ""
    node_session: str = ""
    incarnation: int = 0
    target_instance: str
    message_type: str
    payload: Content
    context: MessageContext
    expires_in_ms: int = 0  # 0 for the default
    reply_to: str = ""


class TaskMessageRequested(MessageRequested, channel="task", scope="messages:write"):
    """Send a message about work: assign, result, request, reply."""


class EventMessageRequested(MessageRequested, channel="event", scope="messages:write"):
    """Send a message about what happened: notification, state_sync, broadcast."""


class DataMessageRequested(MessageRequested, channel="data", scope="messages:write"):
    """Send a message about data: share, version, conflict."""


class ReviewMessageRequested(MessageRequested, channel="review", scope="messages:write"):
    """Send a message about judgements: approval, feedback, control."""


# Facts of router.conversations.


class Delivery(Value):
    """A worker that must get a message."""

    instance_id: str
    node_id: str
    node_session: str
    incarnation: int


class MessageSent(Fact, channel="task"):
    """The nodes named here must hand the message to these workers; said again, in the next round, while it is not
    received. A message for a profession of a run is handed over while they work for that run."""

    workspace_id: str
    run_id: str = ""
    attempt_id: str = ""  # of the sender
    ask_id: str
    message: Message
    round: int = 1
    deliveries: tuple[Delivery, ...] = ()
    resend_at_ms: int = 0  # 0: not again


class MessageRefused(Fact, channel="task"):
    """The ask to send a message led to none, with the reason in a sentence."""

    workspace_id: str
    run_id: str = ""
    ask_id: str
    message_id: str
    reason: str


class MessageAcknowledged(Fact, channel="task"):
    """An instance has received a message; `settled` when nobody else needs to."""

    workspace_id: str
    run_id: str = ""
    message_id: str
    instance_id: str
    attempt_id: str = ""  # of the receiver
    settled: bool


class MessageExpired(Fact, channel="task"):
    """A message is not sent again although these have not received it."""

    workspace_id: str
    run_id: str = ""
    message_id: str
    missed: tuple[str, ...] = ()
    reason: str


class CorrespondentChanged(Fact, channel="task"):
    """The conversations took note of an instance: ready with a new worker, or gone."""

    workspace_id: str
    instance_id: str
    profession: str = ""
    team_id: str = ""
    node_id: str = ""
    node_session: str = ""
    incarnation: int = 0
    gone: bool = False


# A report of nodes.


class MessageReceived(Report, channel="task"):
    """A worker has a message: its program took it or, where it requires that, acknowledged it."""

    workspace_id: str
    run_id: str = ""  # of the message
    message_id: str
    instance_id: str
    node_id: str
    node_session: str
    incarnation: int
    attempt_id: str = ""


REQUESTS: dict[str, type[MessageRequested]] = {
    "task": TaskMessageRequested,
    "event": EventMessageRequested,
    "data": DataMessageRequested,
    "review": ReviewMessageRequested,
}
"""How to ask for a message on each channel."""

MESSAGE_TYPES: dict[str, str] = {
    "assign": "task",
    "result": "task",
    "request": "task",
    "reply": "task",
    "notification": "event",
    "state_sync": "event",
    "broadcast": "event",
    "share": "data",
    "version": "data",
    "conflict": "data",
    "approval": "review",
    "feedback": "review",
    "control": "review",
}
"""The channel of each message type; a type of one's own is written CHANNEL.NAME."""


def channel_of(message_type: str) -> str:
    """The channel that fits a message type; raises ValueError with a sentence."""
    channel, dot, name = message_type.partition(".")
    if known := MESSAGE_TYPES.get(message_type):
        return known
    if dot and name and channel in REQUESTS:
        return channel
    raise ValueError(
        f"there is no message type {message_type[:80]!r}: write one of {', '.join(MESSAGE_TYPES)}, "
        f"or CHANNEL.NAME with one of {', '.join(REQUESTS)}"
    )


RECORDS: tuple[type[Record], ...] = (
    TaskMessageRequested,
    MessageSent,
    MessageRefused,
    MessageAcknowledged,
    MessageExpired,
    CorrespondentChanged,
    MessageReceived,
)
"""Those of the TaskChannel."""
