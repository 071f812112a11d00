"""Artifacts that a workspace shares: each write gets the next version or a recorded conflict, never silence."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from immutables import Map

from bus.decider import Draft, Role, fold_by_type
from bus.record import Envelope, Fact
from bus.seen import Seen
from services.definitions.field import ARTIFACT_PATTERN
from services.definitions.versions import Conflict, find_fault, write_version
from services.records.content import Content
from services.records.data import ArtifactConflicted, ArtifactRecorded, ArtifactRefused, ArtifactWriteRequested
from services.records.permission import find_lack

NAMES_MAX = 10_000
"""Most artifacts of a workspace, however many versions each has."""

NAME_LENGTH_MAX = 120
"""Characters of a name."""

PREFIX = "workspace:"
"""How a definition marks a name as its workspace's; on `data` the name stands without it."""

_NAME = re.compile(ARTIFACT_PATTERN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelves:
    """The newest version of each artifact, by workspace and name."""

    newest: Map[str, Map[str, int]] = Map()
    seen: Seen = Seen()

    def shelf(self, workspace_id: str) -> Map[str, int]:
        return self.newest.get(workspace_id, Map())


def decide(draft: Draft[Shelves], heard: Envelope) -> None:
    """Record the write, or say why not."""
    ask = heard.record
    if not isinstance(ask, ArtifactWriteRequested) or heard.id in draft.state.seen:
        return
    content = ask.content.model_copy(update={"name": ask.content.name.removeprefix(PREFIX)})
    shelf = draft.state.shelf(ask.workspace_id)
    if reason := find_lack(ask) or _find_fault(content, shelf):
        draft.add(
            ArtifactRefused(
                workspace_id=ask.workspace_id,
                ask_id=heard.id,
                name=content.name[:NAME_LENGTH_MAX],
                writer=ask.writer,
                reason=reason,
            )
        )
        return
    draft.add(_judge(ask, heard.id, content, shelf.get(content.name, 0)))


def _judge(ask: ArtifactWriteRequested, ask_id: str, content: Content, newest: int) -> Fact:
    written = write_version(content, newest)
    if not isinstance(written, Conflict):
        return ArtifactRecorded(workspace_id=ask.workspace_id, ask_id=ask_id, artifact=written, writer=ask.writer)
    return ArtifactConflicted(
        workspace_id=ask.workspace_id,
        ask_id=ask_id,
        content=content,
        newest=written.newest,
        writer=ask.writer,
        reason=written.reason,
    )


def _find_fault(content: Content, shelf: Map[str, int]) -> str:
    name = content.name
    if len(name) > NAME_LENGTH_MAX or not _NAME.fullmatch(name):
        return f"{name[:NAME_LENGTH_MAX]!r} is no name of an artifact: letters, digits, `_`, `.` and `-` make one"
    if name not in shelf and len(shelf) >= NAMES_MAX:
        return f"the workspace shares {NAMES_MAX} artifacts, which is the most it may"
    return find_fault(content)


def _fold_recorded(state: Shelves, fact: ArtifactRecorded, time_ms: int) -> Shelves:
    shelf = state.shelf(fact.workspace_id).set(fact.artifact.name, fact.artifact.version)
    return replace(_fold_answer(state, fact, time_ms), newest=state.newest.set(fact.workspace_id, shelf))


def _fold_answer(state: Shelves, fact: Any, time_ms: int) -> Shelves:
    return replace(state, seen=state.seen.add(fact.ask_id, time_ms))


FOLDS: Mapping[type[Fact], Callable[[Shelves, Any, int], Shelves]] = {
    ArtifactRecorded: _fold_recorded,
    ArtifactConflicted: _fold_answer,
    ArtifactRefused: _fold_answer,
}

evolve = fold_by_type("orchestrator.artifacts", FOLDS)
"""The shelves after one of the facts of artifacts."""

ARTIFACTS: Role[Shelves] = Role(
    name="orchestrator.artifacts",
    home="data",
    hears=frozenset({ArtifactWriteRequested}),
    says=frozenset(FOLDS),
    quarantines=frozenset({"data"}),
    initial=Shelves,
    decide=decide,
    evolve=evolve,
)
