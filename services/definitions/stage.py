"""A stage of a workflow, with the defaults filled in."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from services.definitions.edge import Edge, OnError
from services.definitions.field import NAMES_MAX, DurationMs, Label, Model, StageId, Text
from services.definitions.option import (
    LOST_ONLY,
    End,
    Join,
    Map,
    Retry,
    Review,
    StageInput,
    StageOutput,
    Subflow,
    Wait,
)

Kind = Literal["task", "review", "subflow", "wait", "end"]


class Stage(Model):
    """One step of a workflow; what each option means stands in DESIGN.md section 7."""

    id: StageId
    name: Label | None = None
    description: Text | None = None
    instructions: Text | None = None
    kind: Kind = "task"

    profession: Label | None = None
    skills: dict[Label, Annotated[int, Field(ge=0, le=100)]] = Field(default_factory=dict)
    agent: Label | None = None
    parameters: dict[str, Any] = Field(default_factory=dict, alias="with")
    input: Annotated[tuple[StageInput, ...], Field(max_length=NAMES_MAX)] = ()
    output: Annotated[tuple[StageOutput, ...], Field(max_length=NAMES_MAX)] = ()

    join: Join = Join()
    choose: Literal["all", "first"] = "all"
    next: tuple[Edge, ...] = ()
    on_error: OnError = OnError()
    cancel: tuple[StageId, ...] = ()
    compensate: StageId | None = None

    map: Map | None = None
    timeout_ms: DurationMs | None = Field(default=None, alias="timeout")
    queue_timeout_ms: DurationMs | None = Field(default=None, alias="queue_timeout")
    heartbeat_ms: DurationMs | None = Field(default=None, alias="heartbeat")
    retry: Retry = LOST_ONLY
    mutex: Label | None = None
    priority: Annotated[int, Field(ge=-100, le=100)] = 0

    wait: Wait | None = None
    choice: Label | None = None
    subflow: Subflow | None = None
    review: Review | None = None
    end: End | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is a task for whoever is good at it: the router finds the profession."""
        return self.kind == "task" and self.profession is None and self.agent != "human"

    @property
    def words(self) -> str:
        """What it says of its work; the name too where nothing else says who should do it."""
        told = self.instructions or self.description or ""
        return told or (self.name or "" if self.is_open and not self.skills else "")
