"""The profession of an instance as its worker finds it: files that say who it is, and parameters for its agents."""

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from bus.blobs import BlobStore
from bus.errors import BusError
from services.definitions.problem import DefinitionInvalid
from services.definitions.profession import Profession, Wording, read_profession
from services.factory.agents.briefing import IDENTITY, PERSONA, PROFESSION, RULES

PROFILES_MAX = 64
"""So many professions are kept in memory."""

_HOUSE_RULES = """## Rules
- Work only in the directory that you are started in. `inputs/` is what you were given; never change it.
- Write results to the files that the task names. Say plainly what you could not do.
- Never write a key, a password or a token into a file or an answer."""


class ProfileMissing(Exception):
    """The profession that an instance was ordered with cannot be read."""


class Profiles:
    """Professions by digest, or those that ship with the package by their id."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._found: OrderedDict[str, Profession | None] = OrderedDict()

    async def find(self, profession_id: str, digest: str) -> Profession | None:
        """None for one that is known by no more than its id. Raises ProfileMissing."""
        key = digest or profession_id
        if key not in self._found:
            self._found[key] = await self._read(digest) if digest else _read_shipped(profession_id)
            if len(self._found) > PROFILES_MAX:
                self._found.popitem(last=False)
        return self._found[key]

    async def _read(self, digest: str) -> Profession:
        try:
            return Profession.from_json(await self._blobs.get(digest))
        except (BusError, DefinitionInvalid) as error:
            raise ProfileMissing(f"the profession {digest} cannot be read: {error}") from error


def _read_shipped(profession_id: str) -> Profession | None:
    place = files("services.factory").joinpath("professions", f"{profession_id}.yaml")
    if not profession_id.replace("_", "").isalnum() or not place.is_file():
        return None
    return read_profession(place.read_bytes(), place.name).profession


def lay_profession(profession: Profession, directory: Path) -> None:
    """Write its files below a directory. Raises OSError."""
    folder = directory / PROFESSION
    folder.mkdir(exist_ok=True)
    for name, text in write_profession(profession).items():
        place = folder / name
        place.unlink(missing_ok=True)
        place.write_text(text, encoding="utf-8")
        place.chmod(0o444)
    folder.chmod(0o755)


def write_profession(profession: Profession) -> Mapping[str, str]:
    """What each of its files says, in the languages that it has."""
    names = " / ".join(_languages(profession.name))
    persona = [f"# {names}", *_languages(profession.summary)]
    rules = ["# How you work", *_languages(profession.instructions), _write_skills(profession), _HOUSE_RULES]
    return {
        PERSONA: "\n\n".join(persona) + "\n",
        RULES: "\n\n".join(filter(None, rules)) + "\n",
        IDENTITY: f"# Identity\n\n- Name: {names}\n- Profession: {profession.id}\n",
        "profession.json": profession.to_json().decode(),
    }


def _languages(wording: Wording) -> Iterator[str]:
    yield from filter(None, (wording.zh, wording.en))


def _write_skills(profession: Profession) -> str:
    lines = [f"- {skill.name}, level {skill.level} of 10: {skill.description.say('en')}" for skill in profession.skills]
    return "\n".join(["## Skills", *(line.removesuffix(": ") for line in lines)])


def merge_parameters(stage: str, profession: Profession | None, model: str, model_url: str, agent: str) -> str:
    """What an agent is given: the stage's parameters over the instance's over those of its profession and its node."""
    given = json.loads(stage)
    if not isinstance(given, dict):
        return stage
    merged: dict[str, Any] = {**((profession and profession.parameters) or {})}
    if agent in THINKING:
        if model:
            merged["model"] = model
        elif agent in PREFERRING and profession and profession.config.preferred_model:
            merged.setdefault("model", profession.config.preferred_model)
        if agent in PREFERRING and model_url:
            merged.setdefault("base_url", model_url)
    merged |= given
    return json.dumps(merged, ensure_ascii=False) if merged != given else stage


THINKING = ("model", "claude", "codex", "openclaw")
"""Agents that read prose."""

PREFERRING = ("model", "openclaw")
"""Agents that take any model; others know only those of their makers."""
