"""What `clawx run` does: find what is wrong, host or reach the system, ask for the run, follow it, keep its outputs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bus.client import Bus
from services.audit.progress import Progress, summarise
from services.cli.connection import hosts_itself, server_of
from services.cli.display import make_display, span
from services.cli.failure import DONE, FAILED, Wrong
from services.cli.outputs import write_outputs
from services.cli.profession_list import find_catalogue, read_catalogue
from services.cli.run_input import Given, read_inputs
from services.cli.run_request import Asked, Wish, ask_for_run
from services.cli.terminal import print_json, print_line, tell
from services.cli.watch import watch_run
from services.cli.workflow_source import prepare_file, read_source, stage_names
from services.client import connect
from services.definitions.catalogue import Catalogue
from services.definitions.resolution import Prepared
from services.definitions.validation import require_valid
from services.definitions.workflow import WorkflowFile
from services.settings import Settings

Failing = Callable[[], Coroutine[Any, Any, str]]
"""Waits until what this process hosts cannot go on, and says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """How a run is followed to its end."""

    timeout_ms: int
    out: Path | None
    as_json: bool

    async def follow(self, bus: Bus, asked: Asked, prepared: Prepared, failed: Failing | None) -> int:
        """Show how it goes, keep its outputs and print them; gives the exit code."""
        title = prepared.workflow.name or prepared.workflow.id
        with make_display(f"{title}  {asked.run_id}", stage_names(prepared)) as display:
            progress = await watch_run(bus, asked, display, self.timeout_ms, failed)
        if progress.status == "refused":
            raise Wrong(f"the run was refused: {progress.reason}")
        directory = (self.out or Path("clawx-out") / asked.run_id).absolute()
        paths = await write_outputs(progress.artifacts.values(), bus.blobs, directory)
        self._print(progress, paths)
        return DONE if progress.status == "completed" else FAILED

    def _print(self, progress: Progress, paths: dict[str, str]) -> None:
        took = f" in {span(progress.ended_at_ms - progress.started_at_ms)}" if progress.started_at_ms else ""
        reason = f": {progress.reason}" if progress.reason else ""
        tell(f"run {progress.run_id} {progress.status}{took}{reason}")
        if self.as_json:
            print_json(summarise(progress, paths))
            return
        for name, artifact in progress.artifacts.items():  # what was made last stands last, where the eye is
            print_line(f"{name}  version {artifact.version}  {paths[name]}")
        tell(f"how it came about: clawx trace {progress.run_id}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJob:
    """One call of `clawx run`."""

    settings: Settings
    source: WorkflowFile
    inputs: dict[str, Given]
    wish: Wish
    timeout_ms: int
    out: Path | None
    as_json: bool

    async def run(self) -> int:
        """Gives the exit code. Nothing is written before everything is known to be right."""
        if not hosts_itself(self.settings):
            async with connect(server_of(self.settings) or self.settings.bus_url, settings=self.settings) as bus:
                return await self._follow(bus, await read_catalogue(bus))
        catalogue = await find_catalogue(self.settings)
        prepare_file(self.source, catalogue)
        from services.cli.hosting import hosting

        async with hosting(self.settings) as (system, failed):
            return await self._follow(system.bus, catalogue, failed)

    async def _follow(self, bus: Bus, catalogue: Catalogue, failed: Failing | None = None) -> int:
        prepared = prepare_file(self.source, catalogue)
        for warning in prepared.warnings:
            tell(f"warning: {warning}")
        asked = await ask_for_run(bus, prepared, self.inputs, self.wish)
        if asked.is_known:
            tell(f"the key `{self.wish.key}` names the run {asked.run_id}, which is there already")
        following = Following(timeout_ms=self.timeout_ms, out=self.out, as_json=self.as_json)
        return await following.follow(bus, asked, prepared, failed)


def read_job(
    settings: Settings,
    file: Path,
    typed: list[str],
    *,
    wish: Wish,
    timeout_ms: int,
    out: Path | None,
    as_json: bool,
) -> RunJob:
    """Find whatever can be wrong without opening anything; professions come later, since a log may know more."""
    source = read_source(file)
    require_valid(source)
    return RunJob(
        settings=settings,
        source=source,
        inputs=read_inputs(source, typed),
        wish=wish,
        timeout_ms=timeout_ms,
        out=out,
        as_json=as_json,
    )
