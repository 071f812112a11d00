"""Which agents can work on this machine, for somebody who has no node."""

import importlib.metadata
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from services.factory.agents import claude, codex, openclaw
from services.factory.agents.catalogue import AGENTS, KEYS


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSurvey:
    """One agent: why it cannot work here, or what it works with."""

    name: str
    absence: str = ""
    detail: str = ""


def survey_agents(search: str, handed_out: Collection[str]) -> Iterator[AgentSurvey]:
    """With this search path for programs, and these secrets handed out."""
    for name in AGENTS:
        absence, detail = FINDERS[name](search)
        keys = KEYS.get(name, ())
        if keys and not absence:
            handed = [key for key in keys if key in handed_out]
            detail += f"; key {handed[0]}" if handed else f"; no key of it in CLAWX_SECRETS ({' or '.join(keys)})"
        yield AgentSurvey(name=name, absence=absence, detail=detail)
    yield AgentSurvey(name="human", detail="a person, who answers with `clawx tasks answer` or over the API")


def _find_model(search: str) -> tuple[str, str]:
    try:
        return "", f"openai {importlib.metadata.version('openai')}"
    except importlib.metadata.PackageNotFoundError:
        return "the package openai is not there (pip install 'openclaw-x[model]')", ""


def _find_openclaw(search: str) -> tuple[str, str]:
    return openclaw.find_absence(search), shutil.which(openclaw.PROGRAM, path=search) or ""


def _finder(program: str, how: str) -> Callable[[str], tuple[str, str]]:
    def find(search: str) -> tuple[str, str]:
        place = shutil.which(program, path=search)
        return ("", place) if place else (f"{program} is not on the path ({how})", "")

    return find


FINDERS: dict[str, Callable[[str], tuple[str, str]]] = {
    "script": lambda _: ("", "built in"),
    "command": lambda _: ("", "any program"),
    "model": _find_model,
    "openclaw": _find_openclaw,
    "claude": _finder(claude.PROGRAM, "npm install --global @anthropic-ai/claude-code"),
    "codex": _finder(codex.PROGRAM, "npm install --global @openai/codex"),
}
