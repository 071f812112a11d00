"""/professions: what instances can be."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from services.definitions.profession import Profession, read_profession
from services.gateway.answer import Fresh, Page, Turning, show, shown, written
from services.gateway.caller import EVERYWHERE, needs
from services.gateway.desk import Asking
from services.gateway.gateway import PREFIX, Behind, Gateway
from services.gateway.rejection import NotFound
from services.gateway.resources.field import Body, Name, Shown, Written, example
from services.records.event import SYSTEM_KEY, ProfessionAddRequested

router = APIRouter(prefix=f"{PREFIX}/professions", tags=["professions"])

DEFINITION_CHARACTERS_MAX = 512 * 1024


class ProfessionShown(Shown):
    """A profession with its defaults filled in."""

    profession_id: str
    version: int = Field(description="0 for one that ships with the package.")
    digest: str
    definition: dict[str, Any]


class ProfessionDraft(Body):
    """A profession to add, as the file that describes it."""

    model_config = example(
        {"definition": "id: poet\nname: Poet\nskills:\n  - {name: verse, level: 5, description: Writes verse}\n"}
    )

    definition: Annotated[str, Field(min_length=1, max_length=DEFINITION_CHARACTERS_MAX, description="YAML or JSON.")]


class ProfessionAddedShown(Written):
    """A profession that was added."""

    profession_id: str
    digest: str


@router.get("", **shown(Page[ProfessionShown], "Professions by id."), **needs("viewer", "professions:read"))
async def list_professions(request: Request, gateway: Behind, turn: Turning, _fresh: None = Fresh) -> Response:
    """List the professions."""
    catalogue = await gateway.reading.professions.catalogue(gateway.blobs)
    return show(request, turn.slice([_show(gateway, each) for each in catalogue]))


@router.get("/{profession_id}", **shown(ProfessionShown, "The profession."), **needs("viewer", "professions:read"))
async def get_profession(
    request: Request, gateway: Behind, profession_id: Annotated[Name, Path()], _fresh: None = Fresh
) -> Response:
    """Show one profession, by its id or an alias."""
    found = (await gateway.reading.professions.catalogue(gateway.blobs)).find(profession_id)
    if found is None:
        raise NotFound(f"profession {profession_id}")
    return show(request, _show(gateway, found))


@router.post("", status_code=201, response_model=ProfessionAddedShown, **needs("admin", "professions:write"))
async def add_profession(draft: ProfessionDraft, gateway: Behind, asking: Asking) -> Response:
    """Add a profession, or a new version of one."""
    asking.caller.require("admin", EVERYWHERE)
    profession = read_profession(draft.definition.encode(), "definition").profession
    (await gateway.reading.professions.catalogue(gateway.blobs)).extended(profession)
    digest = await gateway.blobs.put(profession.to_json())
    ask = ProfessionAddRequested(profession=profession.id, digest=digest)
    answered = await gateway.desk.ask(ask, asking, SYSTEM_KEY)
    added = ProfessionAddedShown(position=str(answered.shown_at), profession_id=profession.id, digest=digest)
    return written(added, 201, location=f"{router.prefix}/{profession.id}")


def _show(gateway: Gateway, profession: Profession) -> ProfessionShown:
    added = gateway.reading.professions.added.get(profession.id)
    return ProfessionShown(
        profession_id=profession.id,
        version=added.version if added else 0,
        digest=profession.digest(),
        definition=profession.model_dump(mode="json", by_alias=True, exclude_none=True),
    )
