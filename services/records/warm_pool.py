"""Warm pools on the EventChannel: how many instances of a profession a workspace keeps at hand."""

from collections.abc import Mapping

from bus.record import Ask, Fact, Record
from services.records.content import Resources, Terms


class WarmPoolRequested(Ask, channel="event", scope="instances:write"):
    """Keep at least so many instances of a profession ready, and have no more than so many without being asked."""

    workspace_id: str
    profession: str
    least: int = 0
    most: int
    idle_ms: int = 60_000  # those above the least may go after so long without a task
    agent: str = ""  # empty: the profession's
    driver: str = "process"
    pool: str = "default"  # of nodes
    resources: Resources | None = None  # otherwise those of the profession's class
    model: str = ""
    profession_digest: str = ""


class WarmPoolSet(Fact, channel="event"):
    """The warm pool of a profession is like this from here on; instances that are too many are drained."""

    workspace_id: str
    profession: str
    ask_id: str
    least: int
    most: int
    idle_ms: int
    agent: str = ""
    driver: str = "process"
    pool: str = "default"
    resources: Resources
    model: str = ""
    skills: Mapping[str, int] = {}
    profession_digest: str = ""
    terms: Terms | None = None


class WarmPoolRefused(Fact, channel="event"):
    """The warm pool stays as it is, with the reason in a sentence."""

    workspace_id: str
    profession: str
    ask_id: str
    reason: str


class WarmPoolStarved(Fact, channel="event"):
    """A warm pool lacks instances that cannot be made now; it is tried again then."""

    workspace_id: str
    profession: str
    missing: int
    reason: str
    retried_at_ms: int


RECORDS: tuple[type[Record], ...] = (WarmPoolRequested, WarmPoolSet, WarmPoolRefused, WarmPoolStarved)
