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
    policies = {output.name: output.policy for output in stage.output}
    newest: dict[str, int] = {}
    artifacts: list[Artifact] = []
    clashes: list[Clash] = []
    for content in contents:
        if fault := find_fault(content):
            return Written((), (), fault)
        now = newest.get(content.name, run.newest(content.name))
        base = execution.bases.get(content.name, now) if content.name not in newest else now
        found = write_version(content.model_copy(update={"base_version": base}), now)
        if isinstance(found, Conflict):
            policy = policies.get(content.name) or workflow.on_conflict
            clashes.append(Clash(content.model_copy(update={"base_version": base}), now, policy, found.reason))
            if policy != "keep_both":
                continue
            found = artifact_of(content.model_copy(update={"base_version": base}), now + 1)
        newest[content.name] = found.version
        artifacts.append(found)
    return Written(tuple(artifacts), tuple(clashes))
