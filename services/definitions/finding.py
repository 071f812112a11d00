"""Collects what a validation finds, each with the place in the file."""

from __future__ import annotations

from services.definitions.problem import Problem, Severity
from services.definitions.refusal import name_field
from services.definitions.workflow import WorkflowFile


class Findings:
    """The problems of one file."""

    def __init__(self, source: WorkflowFile) -> None:
        self.source = source
        self.workflow = source.workflow
        self.problems: list[Problem] = []
        self._ids = {"stages": [{"id": stage.id} for stage in source.workflow.stages]}

    def add(self, path: tuple[str | int, ...], reason: str, suggestion: str = "", severity: Severity = "error") -> None:
        """Note one problem at a path such as `("stages", 3, "next", 0)`."""
        self.problems.append(
            Problem(
                file=self.source.file,
                line=self.source.line_of(*path),
                field=name_field(self._ids, path),
                reason=reason,
                suggestion=suggestion,
                severity=severity,
            )
        )

    def warn(self, path: tuple[str | int, ...], reason: str, suggestion: str = "") -> None:
        """Note something that works but is hardly meant."""
        self.add(path, reason, suggestion, "warning")
