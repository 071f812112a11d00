"""The agents by name."""

from collections.abc import Callable, Mapping

from services.factory.agents.command import CommandDialect
from services.factory.agents.model.dialect import KEY, ModelDialect
from services.factory.agents.port import Agent, Assignment, Liaison
from services.factory.agents.program import Dialect, ProgramAgent
from services.factory.agents.script import ScriptAgent

AGENTS = ("script", "command", "model")

KEYS: Mapping[str, tuple[str, ...]] = {"model": (KEY,)}
"""Variables that an agent gets its keys in, where its node hands out one of the same name."""


def make_agents(children: set[int], liaison: Liaison) -> Mapping[str, Agent]:
    """One of each; `children` takes the process numbers that they will collect themselves."""
    dialects: Mapping[str, Callable[[Assignment], Dialect]] = {"command": CommandDialect, "model": ModelDialect}
    programs = {name: ProgramAgent(dialect, children, liaison) for name, dialect in dialects.items()}
    return {"script": ScriptAgent(), **programs}
