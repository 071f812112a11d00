"""DataChannel: artifacts that a workspace shares, their versions and conflicts."""

from bus.record import Ask, Fact, Record
from services.records.content import Artifact, Content
from services.records.message import DataMessageRequested


class ArtifactWriteRequested(Ask, channel="data", scope="artifacts:write"):
    """Write a new version of a workspace artifact, from the base version that the writer saw
    (`content.base_version`)."""

    workspace_id: str
    content: Content
    writer: str = ""  # "run:ID/STAGE", "instance:ID" or a person


class ArtifactRecorded(Fact, channel="data"):
    """A new version stands."""

    workspace_id: str
    ask_id: str
    artifact: Artifact
    writer: str = ""


class ArtifactConflicted(Fact, channel="data"):
    """A write from a base version that is no longer the newest; nothing changed."""

    workspace_id: str
    ask_id: str
    content: Content
    newest: int
    writer: str = ""
    reason: str = ""


class ArtifactRefused(Fact, channel="data"):
    """A write that could not be one, with the reason in a sentence; nothing changed."""

    workspace_id: str
    ask_id: str
    name: str
    writer: str = ""
    reason: str


RECORDS: tuple[type[Record], ...] = (
    ArtifactWriteRequested,
    ArtifactRecorded,
    ArtifactConflicted,
    ArtifactRefused,
    DataMessageRequested,
)
