"""/workflows: definitions, before they run."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import Field

from services.definitions.problem import DefinitionInvalid
from services.gateway.answer import written
from services.gateway.caller import needs
from services.gateway.definition import prepare_text
from services.gateway.gateway import PREFIX, Behind
from services.gateway.rejection import describe_fault
from services.gateway.resources.field import Body, Shown, example

router = APIRouter(prefix=f"{PREFIX}/workflows", tags=["workflows"])

DEFINITION_CHARACTERS_MAX = 512 * 1024

Definition = Annotated[
    Annotated[str, Field(min_length=1, max_length=DEFINITION_CHARACTERS_MAX)] | dict[str, Any],
    Field(description="The workflow as YAML text, or as JSON."),
]

EXAMPLE = (
    "id: hello\nstages:\n  - {id: greet, profession: qa_engineer, agent: script, input: [name], output: [greeting]}\n"
)


class WorkflowDraft(Body):
    """A workflow to look at."""

    model_config = example({"workflow": EXAMPLE})

    workflow: Definition


class Fault(Shown):
    """One thing that is wrong, or odd."""

    line: int
    field: str
    severity: str
    reason: str
    suggestion: str


class Validity(Shown):
    """Whether a workflow can be run."""

    valid: bool
    workflow_id: str | None
    problems: list[Fault]


@router.post("/validate", response_model=Validity, **needs("viewer", "workflows:read"))
async def validate_workflow(draft: WorkflowDraft, gateway: Behind) -> Response:
    """Find everything that is wrong with a workflow before it runs."""
    catalogue = await gateway.reading.professions.catalogue(gateway.blobs)
    try:
        prepared = prepare_text(draft.workflow, catalogue)
    except DefinitionInvalid as error:
        problems = [Fault.model_validate(describe_fault(each)) for each in error.problems]
        return written(Validity(valid=False, workflow_id=None, problems=problems), 200)
    warnings = [Fault.model_validate(describe_fault(each)) for each in prepared.warnings]
    return written(Validity(valid=True, workflow_id=prepared.workflow.id, problems=warnings), 200)
