"""An edge of a workflow: where to, and when."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from services.definitions.field import DurationMs, Model, StageId, Text

TIMES_MAX = 1_000_000


class Edge(Model):
    """One way on from a stage.

    `max_times` bounds how often it is taken in a run, `max_time_ms` how long after its target first began. `otherwise`
    (written `else`) holds when no other edge of the stage does.
    """

    to: StageId
    when: Text | None = None
    max_times: Annotated[int, Field(ge=1, le=TIMES_MAX)] | None = None
    max_time_ms: DurationMs | None = Field(default=None, alias="max_time")
    otherwise: bool = Field(default=False, alias="else")


class OnError(Model):
    """What follows when a stage has failed for good: the run fails, the stage counts as skipped, or a way is taken."""

    action: Literal["fail", "skip", "route"] = "fail"
    routes: tuple[Edge, ...] = ()
