"""What becomes of the outputs of an execution: the next versions of its run's artifacts, or a conflict."""

from __future__ import annotations

from typing import NamedTuple

from services.definitions.stage import Stage
from services.definitions.versions import Conflict, find_fault, write_version
from services.definitions.workflow import Workflow
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


def write_outputs(
    run: Run, execution: Execution, contents: tuple[Content, ...], workflow: Workflow, stage: Stage
) -> Written:
    """Give each output its version. Its base is the newest version when its attempt was asked for.

    A name that the stage does not declare has no base, and never clashes.
    """
    newest: dict[str, int] = {}
    artifacts: list[Artifact] = []
    clashes: list[Clash] = []
    for content in contents:
        if fault := find_fault(content):
            return Written((), (), fault)
        written_before = newest.get(content.name)
        now = run.newest(content.name) if written_before is None else written_before
        base = execution.bases.get(content.name, now) if written_before is None else now
        found = write_version(content, now, base)
        if isinstance(found, Conflict):
            clashes.append(Clash(content, base, now, _policy_for(content.name, workflow, stage), found.reason))
            if clashes[-1].policy != "keep_both":
                continue
            found = artifact_of(content, now + 1, base)
        newest[content.name] = found.version
        artifacts.append(found)
    return Written(tuple(artifacts), tuple(clashes))


def _policy_for(name: str, workflow: Workflow, stage: Stage) -> str:
    declared = next((output.policy for output in stage.output if output.name == name), None)
    return declared or workflow.on_conflict
