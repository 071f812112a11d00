"""What a record is: an ask, a report or a fact, and the few records that the bus itself writes."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict

from bus.channel import Position


class Value(BaseModel):
    """A named group of fields inside a record."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")


class Record(Value):
    """Root of all record types. `class TaskAssigned(Fact, channel="task")` names the one channel where the type stands.

    Fields are `str`, `int` (64 bits), `float`, `bool`, `bytes`, a `Value`, `tuple[X, ...]`, `Mapping[str, X]` or `X |
    None`; every field that is added later has a default. Public docstrings become the Avro doc.
    """

    channel: ClassVar[str] = ""

    def __init_subclass__(cls, *, channel: str = "", **config: Any) -> None:
        super().__init_subclass__(**config)
        if channel:
            cls.channel = channel

    def key(self) -> str:
        """The unit of order that this record belongs to: a workspace, `pool:NAME` or `_system`."""
        return str(getattr(self, "workspace_id"))  # noqa: B009 — types without that field override key()


class Ask(Record):
    """Somebody wants something. `class RunRequested(Ask, channel="task", role="operator", scope="runs:write")` says
    what an actor needs to ask it; the owner of the answer checks it again.
    """

    needs_role: ClassVar[str] = ""
    needs_scope: ClassVar[str] = ""

    actor: str = ""
    actor_roles: tuple[str, ...] = ()  # as the door decided; none where the ask came through no door
    actor_scopes: tuple[str, ...] = ()  # what the key of the actor is narrowed to; none: all that the roles allow
    idempotency_key: str = ""

    def __init_subclass__(cls, *, role: str = "operator", scope: str = "", **config: Any) -> None:
        super().__init_subclass__(**config)
        cls.needs_role, cls.needs_scope = role, scope


class Report(Record):
    """What the world did."""


class Fact(Record):
    """What the owner of a role decided. Only facts change state."""


class Posted(Fact):
    """A fact at home that the runtime carries as an ask to the role that owns another key."""

    addressee: ClassVar[str] = ""

    def __init_subclass__(cls, *, addressee: str = "", **config: Any) -> None:
        super().__init_subclass__(**config)
        if addressee:
            cls.addressee = addressee

    def address(self) -> str:
        """Key of the addressee; its hash gives the partition."""
        raise NotImplementedError


class DeadlineReached(NamedTuple):
    """What a Decider hears when a deadline of its state has come. Never on a log."""

    id: str
    at_ms: int


class Cause(NamedTuple):
    """Why a record was written: the record at `at`, or the deadline of that name."""

    id: str
    at: Position | None

    def __str__(self) -> str:
        return str(self.at) if self.at else f"deadline:{self.id}"


class Origin(NamedTuple):
    """Who wrote a record under which claim, and its place in the decision. Asks and reports have no claim: role is
    empty.

    Of a post, `seq` is its number between sender and addressee, and the cause is the fact at home.
    """

    kind: str  # "ask", "report", "fact", "claim" or "post"
    role: str = ""
    session: str = ""
    epoch: int = 0
    seq: int = 0
    part: int = 0  # this is record `part` of the decision's `parts`
    parts: int = 1
    cause: str = ""


class Envelope(NamedTuple):
    """A record as heard: admitted by its fence, decoded, with everything known of it."""

    record: Any
    id: str
    origin: Origin
    at: Position | None  # None for a deadline
    time_ms: int
    trace: str  # 32 hex digits
    key: str = ""


def derive_id(*parts: object) -> str:
    """24 hex digits that depend on the parts alone, so that deciding or publishing twice gives the same id."""
    return hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=12).hexdigest()


def derive_trace(subject: str) -> str:
    """The W3C trace id (32 hex digits) of whatever starts with this subject."""
    return hashlib.blake2b(subject.encode(), digest_size=16).hexdigest()


class ClaimedFence(Value):
    """A fence as it stood at a position."""

    role: str
    session: str
    epoch: int
    seq: int
    gap: bool = False


class HeardInput(Value):
    """How far one input was heard, with the fences there."""

    channel: str
    offset: int
    fences: tuple[ClaimedFence, ...] = ()


class PostCount(Value):
    """The next number of the posts between this role and another, one way."""

    role: str
    partition: int
    number: int


class BusRecord(Record):
    """What the runtime itself writes, on any state channel; it belongs to a partition rather than to a key."""

    def key(self) -> str:
        return ""


class Claimed(BusRecord):
    """A session takes a partition for a role. It counts only if its epoch is the newest one's plus one."""

    role: str
    session: str
    epoch: int


class Heard(BusRecord, Fact):
    """How far the owner of a role has heard its inputs; recovery reads on from here."""

    inputs: tuple[HeardInput, ...] = ()
    received: tuple[PostCount, ...] = ()
    acknowledged: tuple[PostCount, ...] = ()


class InputQuarantined(BusRecord, Fact):
    """An input that could not be decoded or decided was set aside; the partition went on."""

    input: str  # its position; there it stays for as long as the log is kept
    reason: str
    digest: str = ""  # of all its bytes, if nobody can decode it
    size: int = 0
    raw: bytes = b""  # its first bytes
    headers: Mapping[str, bytes] = {}  # its first headers


class PostAcknowledged(BusRecord, Report):
    """The addressee has decided all posts of a sender below a number."""

    sender: str
    role: str
    partition: int
    number: int


BUS_RECORDS: tuple[type[Record], ...] = (Claimed, Heard, InputQuarantined, PostAcknowledged)
"""The records that may stand on every state channel."""


def check_language(types: Iterable[type[Record]]) -> None:
    """Raise ValueError unless every type has a channel of its own and a name that no other has."""
    names: dict[str, type[Record]] = {}
    for kind in types:
        if not kind.channel and kind not in BUS_RECORDS:
            raise ValueError(f"{kind.__name__} names no channel; write class {kind.__name__}(…, channel=…)")
        if names.setdefault(kind.__name__, kind) is not kind:
            raise ValueError(f"two record types are called {kind.__name__}")
