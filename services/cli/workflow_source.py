"""A workflow file made ready to run, with the programs and inner workflows that stand beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from services.cli.failure import Wrong
from services.definitions.catalogue import Catalogue
from services.definitions.problem import DefinitionInvalid, Problem
from services.definitions.resolution import Prepared, prepare
from services.definitions.stage import Stage
from services.definitions.workflow import Workflow, WorkflowFile, read_workflow


def read_source(path: Path) -> WorkflowFile:
    """Read a workflow file; raises DefinitionInvalid with all that is wrong in it, Wrong if it cannot be read."""
    try:
        return read_workflow(path.read_bytes(), str(path))
    except OSError as error:
        raise Wrong(f"{path} cannot be read: {error.strerror}") from error


def gather(source: WorkflowFile, catalogue: Catalogue, *, outer: tuple[Path, ...] = ()) -> WorkflowFile:
    """Bring in what the file names beside itself: programs, and inner workflows in files of their own.

    `outer` are the files that this one is an inner workflow of. Raises DefinitionInvalid.
    """
    path = Path(source.file).absolute()
    return replace(source, workflow=_Gathering(source, catalogue, (*outer, path)).gather())


def prepare_file(source: WorkflowFile, catalogue: Catalogue) -> Prepared:
    """Make a file with all that it names ready to run; raises DefinitionInvalid."""
    return prepare(gather(source, catalogue), catalogue)


class _Gathering:
    """Brings into one workflow what a file names beside itself: programs, and inner workflows in files of their own."""

    def __init__(self, source: WorkflowFile, catalogue: Catalogue, files: tuple[Path, ...]) -> None:
        self._source, self._catalogue, self._files = source, catalogue, files
        self._subflows: dict[str, Workflow] = {}

    def gather(self) -> Workflow:
        workflow = self._source.workflow
        for name, inner in workflow.subflows.items():
            at = ("subflows", name)
            self._subflows[name] = self._level(inner, at)
        outermost = self._level(workflow, ())
        return outermost.model_copy(update={"subflows": self._subflows})

    def _level(self, workflow: Workflow, at: tuple[str | int, ...]) -> Workflow:
        stages = [self._stage(stage, (*at, "stages", n)) for n, stage in enumerate(workflow.stages)]
        return workflow.model_copy(update={"stages": tuple(stages)})

    def _stage(self, stage: Stage, at: tuple[str | int, ...]) -> Stage:
        located = _locate_programs(stage, self._catalogue, self._files[-1].parent)
        if stage.subflow is None or stage.subflow.file is None:
            return located
        digest = self._embed(stage.subflow.file, self._source.line_of(*at, "subflow", "file"))
        return located.model_copy(update={"subflow": stage.subflow.model_copy(update={"digest": digest})})

    def _embed(self, file: str, line: int) -> str:
        """Take in a workflow with all that it takes in itself; gives the digest that it is kept by."""
        path = (self._files[-1].parent / file).absolute()
        if path in self._files:
            raise self._refuse(line, f"the workflow {file} contains itself")
        try:
            whole = gather(read_source(path), self._catalogue, outer=self._files)
            inner = prepare(whole, self._catalogue).workflow
        except Wrong as error:
            raise self._refuse(line, str(error)) from error
        self._subflows.update(inner.subflows)
        alone = inner.model_copy(update={"subflows": {}})
        self._subflows[alone.digest()] = alone
        return alone.digest()

    def _refuse(self, line: int, reason: str) -> DefinitionInvalid:
        return DefinitionInvalid([Problem(file=self._source.file, line=line, field="subflow", reason=reason)])


def _locate_programs(stage: Stage, catalogue: Catalogue, directory: Path) -> Stage:
    """What a command names of the files beside the workflow becomes absolute, since workers run elsewhere."""
    profession = catalogue.find(stage.profession or "")
    agent = stage.agent or (profession.agent if profession else "")
    command = stage.parameters.get("command")
    if agent != "command" or not isinstance(command, list):
        return stage
    located = [_locate(part, directory) if isinstance(part, str) else part for part in command]
    return stage.model_copy(update={"parameters": {**stage.parameters, "command": located}})


def _locate(part: str, directory: Path) -> str:
    try:
        return str((directory / part).resolve()) if part and (directory / part).is_file() else part
    except (OSError, ValueError):  # too long for a name, or with a null character: no file
        return part


def stage_names(prepared: Prepared) -> Mapping[str, str]:
    """What each stage is called for people, by id, in the order of the file."""
    return {stage.id: stage.name or "" for stage in prepared.workflow.stages}
