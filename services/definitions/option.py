"""The options of a stage that have parts of their own: joins, maps, retries, waits, reviews, subflows, ends."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from services.definitions.field import ArtifactName, DurationMs, Label, Model, Reviewer, StageId, TimeMs

ValueType = Literal["string", "number", "integer", "boolean", "json", "file", "path", "list"]
ConflictPolicy = Literal["fail", "review", "keep_both"]
Failure = Literal["timeout", "worker_lost", "error"]
Count = Annotated[int, Field(ge=1, le=100_000)]
JsonSchema = dict[str, Any] | bool


class StageInput(Model):
    """A named input of a stage; an optional one may be absent."""

    name: ArtifactName
    optional: bool = False
    type: ValueType | None = None
    schema_: JsonSchema | None = Field(default=None, alias="schema")


class StageOutput(Model):
    """A named output of a stage; `policy` says what happens when two wrote from one base version."""

    name: ArtifactName
    type: ValueType | None = None
    schema_: JsonSchema | None = Field(default=None, alias="schema")
    policy: ConflictPolicy | None = None


class Join(Model):
    """How a stage waits for the branches that lead to it; `at_least` and `rest` only matter in that mode."""

    mode: Literal["active", "all", "any", "each", "at_least"] = "active"
    at_least: Count | None = None
    rest: Literal["ignore", "cancel"] = "ignore"


class Map(Model):
    """One execution for each item of a list; `collect` names the artifact that lists their results."""

    over: ArtifactName
    item: ArtifactName = Field(default="item", alias="as")
    max_parallel: Count | None = None
    collect: ArtifactName | None = None


class Retry(Model):
    """How often and when a failed attempt is tried anew; jitter is a share of the wait, derived from ids."""

    max_attempts: Annotated[int, Field(ge=1, le=1_000)] = 3
    backoff_ms: DurationMs = Field(default=1_000, alias="backoff")
    backoff_max_ms: DurationMs = Field(default=3_600_000, alias="max_backoff")
    factor: Annotated[float, Field(ge=1, le=100)] = 2.0
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.1
    on: tuple[Failure, ...] = ("timeout", "worker_lost", "error")


LOST_ONLY = Retry(on=("worker_lost",))
"""Where a stage says nothing: the loss of a worker is nobody's fault and is tried again, a failure is a failure."""


class Wait(Model):
    """What a waiting stage waits for: exactly one of the four."""

    signal: Label | None = None
    for_ms: DurationMs | None = Field(default=None, alias="for")
    until_ms: TimeMs | None = Field(default=None, alias="until")
    stage: StageId | None = None


class Subflow(Model):
    """Another workflow run as one stage; the digest is filled in where a run is asked for."""

    file: Label | None = None
    id: Label | None = None
    digest: Label | None = None
    inputs: dict[ArtifactName, ArtifactName] = Field(default_factory=dict)
    outputs: dict[ArtifactName, ArtifactName] = Field(default_factory=dict)


class OnTimeout(Model):
    """What becomes of a review that nobody ended in time."""

    action: Literal["approve", "reject", "escalate"] = "reject"
    to: Reviewer | None = None


class Review(Model):
    """Who judges, how many must approve, and where a rejection leads."""

    by: Annotated[tuple[Reviewer, ...], Field(min_length=1, max_length=64)]
    quorum: Annotated[int, Field(ge=1, le=1_000)] = 1
    on_reject: StageId | None = None
    max_rounds: Annotated[int, Field(ge=1, le=1_000)] = 3
    timeout_ms: DurationMs | None = Field(default=None, alias="timeout")
    on_timeout: OnTimeout = OnTimeout()


class End(Model):
    """A stage that ends the run at once."""

    status: Literal["completed", "failed", "cancelled"] = "completed"
