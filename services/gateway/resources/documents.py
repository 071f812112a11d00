"""What the system says of itself to machines: OpenAPI, AsyncAPI and the A2A agent cards of the professions."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from services.definitions.profession import Profession, Skill
from services.gateway.answer import show
from services.gateway.asyncapi import describe_topics
from services.gateway.caller import needs
from services.gateway.gateway import PREFIX, Behind
from services.gateway.rejection import NotFound
from services.gateway.resources.field import Name, Shown

router = APIRouter(tags=["documents"])

A2A_VERSION = "0.3.0"
EXAMPLES_MAX = 5
"""Most examples of tasks on a card, in each language."""

MODES = ["text/plain", "application/json"]


class CardSkill(Shown):
    """What an agent of a profession can do."""

    id: str
    name: str
    description: str
    tags: list[str]
    examples: list[str]


class Capabilities(Shown):
    """What an agent's interface offers."""

    streaming: bool = True
    pushNotifications: bool = False  # noqa: N815 — as A2A has it
    stateTransitionHistory: bool = True  # noqa: N815


def _security() -> list[dict[str, list[str]]]:
    return [{"key": []}]


class AgentCard(Shown):
    """An A2A agent card."""

    protocolVersion: str = A2A_VERSION  # noqa: N815
    name: str
    description: str
    url: str
    preferredTransport: str = "HTTP+JSON"  # noqa: N815
    version: str
    capabilities: Capabilities = Capabilities()
    defaultInputModes: list[str] = Field(default_factory=lambda: list(MODES))  # noqa: N815
    defaultOutputModes: list[str] = Field(default_factory=lambda: list(MODES))  # noqa: N815
    skills: list[CardSkill]
    securitySchemes: dict[str, dict[str, str]] = Field(  # noqa: N815
        default_factory=lambda: {"key": {"type": "http", "scheme": "bearer"}}
    )
    security: list[dict[str, list[str]]] = Field(default_factory=_security)


class Cards(Shown):
    """Where the card of each profession is."""

    cards: dict[str, str]


class Document(BaseModel):
    """Any JSON object."""

    model_config = {"extra": "allow"}


@router.get("/.well-known/agent-card.json", response_model=AgentCard, **needs("viewer", "professions:read"))
async def system_card(request: Request, gateway: Behind) -> Response:
    """Show the agent card of the whole system: each profession is a skill."""
    catalogue = await gateway.reading.professions.catalogue(gateway.blobs)
    skills = [_profession_skill(each) for each in catalogue]
    card = AgentCard(
        name="OpenClaw-X",
        description="Agents with professions that work together on workflows.",
        url=_base(request),
        version=version("openclaw-x"),
        skills=skills,
    )
    return show(request, card)


@router.get("/.well-known/agent-cards", response_model=Cards, **needs("viewer", "professions:read"))
async def list_cards(request: Request, gateway: Behind) -> Response:
    """List where the agent card of each profession is."""
    catalogue = await gateway.reading.professions.catalogue(gateway.blobs)
    base = str(request.base_url).rstrip("/")
    return show(request, Cards(cards={each.id: f"{base}/.well-known/agent-cards/{each.id}" for each in catalogue}))


@router.get("/.well-known/agent-cards/{profession_id}", response_model=AgentCard, **needs("viewer", "professions:read"))
async def profession_card(request: Request, gateway: Behind, profession_id: Annotated[Name, Path()]) -> Response:
    """Show the agent card of a profession."""
    found = (await gateway.reading.professions.catalogue(gateway.blobs)).find(profession_id)
    if found is None:
        raise NotFound(f"profession {profession_id}")
    card = AgentCard(
        name=found.name.say("en"),
        description=found.summary.say("en") or found.name.say("en"),
        url=_base(request),
        version=version("openclaw-x"),
        skills=[_skill(found, each) for each in found.skills],
    )
    return show(request, card)


@router.get(f"{PREFIX}/asyncapi.json", response_model=Document, **needs("viewer", "api:read"))
async def describe_bus(request: Request, gateway: Behind) -> Response:
    """Show the AsyncAPI document of the topics."""
    document: dict[str, Any] = describe_topics(gateway.types, gateway.bus.log.namespace)
    return show(request, Document.model_validate(document))


def _base(request: Request) -> str:
    return f"{str(request.base_url).rstrip('/')}{PREFIX}"


def _profession_skill(profession: Profession) -> CardSkill:
    return CardSkill(
        id=profession.id,
        name=profession.name.say("en"),
        description=profession.summary.say("en") or profession.name.say("en"),
        tags=[profession.category, *profession.levels],
        examples=_examples(profession),
    )


def _skill(profession: Profession, skill: Skill) -> CardSkill:
    return CardSkill(
        id=f"{profession.id}.{skill.name}",
        name=skill.name,
        description=skill.description.say("en") or skill.name,
        tags=[profession.category, profession.id, *skill.aliases],
        examples=_examples(profession),
    )


def _examples(profession: Profession) -> list[str]:
    return [*profession.examples.en[:EXAMPLES_MAX], *profession.examples.zh[:EXAMPLES_MAX]]
