"""The agents by name."""

from collections.abc import Mapping

from services.factory.agents.command import CommandAgent
from services.factory.agents.port import Agent
from services.factory.agents.script import ScriptAgent

AGENTS = ("script", "command")


def make_agents(children: set[int]) -> Mapping[str, Agent]:
    """One of each; `children` takes the process numbers that they will collect themselves."""
    return {"script": ScriptAgent(), "command": CommandAgent(children)}
