"""What the single fields of a definition may hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.definitions.duration import DURATION_MS_MAX

NAMES_MAX = 64
"""Most inputs of a run, and most inputs or outputs of a stage."""

STAGE_PATTERN = r"^\w[\w.\-]*$"
ARTIFACT_PATTERN = r"^(workspace:)?\w[\w.\-]*$"
REVIEWER_PATTERN = r"^(role|profession|person|instance):\S+$"


class Model(BaseModel):
    """A frozen part of a definition; fields that it does not know are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True, allow_inf_nan=False)


DurationMs = Annotated[int, Field(ge=1, le=DURATION_MS_MAX)]
TimeMs = Annotated[int, Field(ge=0, le=1 << 53)]

StageId = Annotated[str, StringConstraints(pattern=STAGE_PATTERN, max_length=100)]
"""What addresses a stage: `/` is left out because an inner stage is called `outer/inner`."""

ArtifactName = Annotated[str, StringConstraints(pattern=ARTIFACT_PATTERN, max_length=120)]
"""What addresses an artifact of the run, or with `workspace:` one that its workspace shares."""

Reviewer = Annotated[str, StringConstraints(pattern=REVIEWER_PATTERN, max_length=200)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(max_length=32_768)]
