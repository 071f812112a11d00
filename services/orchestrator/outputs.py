"""What becomes of the outputs of an execution: the next versions of artifacts, or a conflict."""

from __future__ import annotations

from typing import NamedTuple

from services.definitions.stage import Stage
from services.definitions.versions import Conflict, find_fault, write_version
from services.orchestrator.definition import Level
from services.orchestrator.run import Execution, Run, artifact_of
from services.records.content import Artifact, Content


class Clash(NamedTuple):
    """Two wrote from one base: the content that came second, and the policy that says what follows."""

    content: Content
    base_version: int
    newest: int
    policy: str
    reason: str


class Written(NamedTuple):
    """The outputs of an execution as versions; what clashed is among them only where both are kept."""

    artifacts: tuple[Artifact, ...]
    clashes: tuple[Clash, ...] = ()
    fault: str = ""


def write_outputs(run: Run, execution: Execution, contents: tuple[Content, ...], level: Level, stage: Stage) -> Written:
    """Give each output its version. Its base is the newest version when its attempt was asked for.

    A name that the stage does not declare has no base, and never clashes; neither does what the items of a map write.
    In a subflow versions are counted over all runs of it, and the names are its own.
    """
    newest: dict[str, int] = {}
    artifacts: list[Artifact] = []
    clashes: list[Clash] = []
    flow = run.flow(execution.stage, execution.item)
    is_item = execution.item >= 0 and run.is_item(execution.stage, execution.item)
    for content in contents:
        name = content.name
        if fault := find_fault(content):
            return Written((), (), fault)
        now = newest.get(name) or flow.newest(name)
        base = now if is_item or name in newest else execution.bases.get(name, now)
        found = write_version(content, now, base)
        if isinstance(found, Conflict):
            clashes.append(Clash(content, base, now, _policy_for(name, level, stage), found.reason))
            if clashes[-1].policy != "keep_both":
                continue
            found = artifact_of(content, now + 1, base)
        if level.prefix:
            full = level.prefix + name
            found = found.model_copy(update={"name": full, "version": _next_inside(run, full, now)})
        newest[name] = found.version
        artifacts.append(found)
    return Written(tuple(artifacts), tuple(clashes))


def _next_inside(run: Run, name: str, now: int) -> int:
    return 1 + max(now, run.inner.versions.get(name, 0))


def _policy_for(name: str, level: Level, stage: Stage) -> str:
    declared = next((output.policy for output in stage.output if output.name == name), None)
    return declared or level.workflow.on_conflict
