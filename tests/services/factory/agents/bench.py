"""An attempt's directory without a node, for agents that are programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.factory.agents.catalogue import make_agents
from services.factory.agents.port import Assignment, Input, Outcome


class Calls:
    """A liaison that lets every call go and remembers what it heard."""

    def __init__(self) -> None:
        self.admitted: list[str] = []
        self.limits: list[int | None] = []
        self.usage: Mapping[str, int] = {}

    async def admit(self, attempt_id: str, provider: str) -> None:
        self.admitted.append(provider)

    def answered(self, attempt_id: str, provider: str, limited_ms: int | None = None) -> None:
        self.limits.append(limited_ms)

    def used(self, attempt_id: str, usage: Mapping[str, int]) -> None:
        self.usage = usage


class Bench:
    """Runs one agent."""

    def __init__(self, home: Path, agent: str) -> None:
        self.home, self.directory, self.agent = home, home / "attempts" / "a1", agent
        for name in ("inputs", "outputs", "tmp", "profession"):
            (self.directory / name).mkdir(parents=True)
        (self.directory / "inputs" / "draft").write_text("the draft says 17\n")
        (self.directory / "profession" / "SOUL.md").write_text("# Tess the tester\n")
        (self.directory / "profession" / "AGENTS.md").write_text("Test with care.\n")
        self.lines: list[str] = []
        self.calls = Calls()
        self.secrets: Mapping[str, str] = {}
        self.instructions = "Review the draft."

    def assignment(self, outputs: tuple[str, ...], parameters: Mapping[str, Any]) -> Assignment:
        return Assignment(
            run_id="r",
            stage="review",
            execution=1,
            item=-1,
            ordinal=1,
            task_id="t",
            attempt_id="a1",
            profession="qa_engineer",
            agent=self.agent,
            parameters=json.dumps(parameters),
            inputs={
                "draft": Input(
                    digest="sha256:" + "ab" * 32, media_type="text/plain", path=str(self.directory / "inputs" / "draft")
                )
            },
            outputs={name: str(self.directory / "outputs" / name) for name in outputs},
            deadline_ms=1_700_000_000_500,
            instructions=self.instructions,
            home=str(self.home),
            directory=str(self.directory),
            secrets=self.secrets,
        )

    async def run(self, *outputs: str, **parameters: Any) -> Outcome:
        agent = make_agents(set(), self.calls)[self.agent]
        return await agent.run(self.assignment(outputs, parameters), self.lines.append)

    def written(self, name: str) -> str:
        return (self.directory / "outputs" / name).read_text()


def text_of(outcome: Outcome, name: str) -> str:
    output = outcome.outputs[name]
    return output.text if output.text is not None else Path(output.path or "").read_text()
