"""Fields that several resources share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

NAME_LENGTH_MAX = 200

Name = Annotated[str, StringConstraints(min_length=1, max_length=NAME_LENGTH_MAX, pattern=r"^[^\x00-\x1f\x7f/]+$")]
"""A name or an id; it may stand in a path."""

Text = Annotated[str, StringConstraints(max_length=4_000)]

Workspace = Annotated[Name, Field(description="The workspace that it belongs to for life.", examples=["default"])]


class Body(BaseModel):
    """What a caller sends; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Shown(BaseModel):
    """What a caller gets."""

    model_config = ConfigDict(frozen=True)


class Written(Shown):
    """What was written, and where."""

    position: str = Field(description="Give it as `after` to a read that must show this.", examples=["event/3/17"])


def example(value: Any) -> ConfigDict:
    """The settings of a model with an example."""
    return ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [value]})
