"""The agents by name."""

from collections.abc import Callable, Mapping

from services.factory.agents import claude, codex, openclaw
from services.factory.agents.command import CommandDialect
from services.factory.agents.model import dialect as model
from services.factory.agents.port import Agent, Assignment, Liaison
from services.factory.agents.program import Dialect, ProgramAgent, TalkingProgramAgent
from services.factory.agents.script import ScriptAgent

AGENTS = ("script", "command", "model", "openclaw", "claude", "codex")

KEYS: Mapping[str, tuple[str, ...]] = {
    "model": (model.KEY,),
    "openclaw": openclaw.KEYS,
    "claude": claude.KEYS,
    "codex": codex.KEYS,
}
"""Variables that an agent gets its keys in, where its node hands out those of the same name."""

DIALECTS: Mapping[str, Callable[[Assignment], Dialect]] = {
    "command": CommandDialect,
    "model": model.ModelDialect,
    "openclaw": openclaw.OpenClawDialect,
    "claude": claude.ClaudeDialect,
    "codex": codex.CodexDialect,
}


def make_agents(children: set[int], liaison: Liaison) -> Mapping[str, Agent]:
    """One of each; `children` takes the process numbers that they will collect themselves."""
    programs = {name: ProgramAgent(dialect, children, liaison) for name, dialect in DIALECTS.items()}
    command = TalkingProgramAgent(CommandDialect, children, liaison)
    return {"script": ScriptAgent(), **programs, "command": command}
