"""What `clawx workflows fork` does: find the run, show what would be taken over, ask for the fork, follow it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bus.client import Bus
from bus.errors import BlobMissing
from services.audit.progress import forked_from
from services.cli.answer import ask
from services.cli.connection import asking, hosts_itself, log_exists, server_of
from services.cli.contents import keep_content
from services.cli.failure import DONE, Wrong
from services.cli.profession_list import read_catalogue
from services.cli.run_input import read_changes
from services.cli.run_job import Failing, Following
from services.cli.run_request import Asked
from services.cli.terminal import print_json, print_line, tell
from services.cli.workflow_source import gather, read_source
from services.client import connect
from services.definitions.catalogue import Catalogue
from services.definitions.resolution import Prepared, prepare, recast
from services.definitions.validation import without_lines
from services.definitions.workflow import Workflow
from services.records.task import AskRefused, ForkPlanned, RunForkRequested, RunFound, RunRefused, RunStarted
from services.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where a run is forked: at an offset of its partition, or where a stage began."""

    offset: int = -1
    stage: str = ""
    execution: int = 0

    @classmethod
    def read(cls, text: str) -> Point:
        """`120` and `task/3/120` are offsets, `build` is a stage, `build#2` its second execution."""
        last = text.rpartition("/")[2]
        if last.isdecimal() and (text == last or text.startswith("task/")):
            return cls(offset=int(last))
        stage, sign, execution = text.partition("#")
        if not stage or (sign and (not execution.isdecimal() or int(execution) < 1)):
            raise Wrong(f"{text!r} is no point of a run; right would be 120, task/3/120, build or build#2")
        return cls(stage=stage, execution=int(execution or 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkJob:
    """One call of `clawx workflows fork` or `rerun`."""

    settings: Settings
    run_id: str
    point: Point
    following: Following
    inputs: tuple[str, ...] = ()
    definition: Path | None = None
    professions: Mapping[str, str]
    tags: Mapping[str, str]
    key: str = ""
    dry_run: bool = False
    waits: bool = True

    async def run(self) -> int:
        """Gives the exit code."""
        itself = hosts_itself(self.settings)
        if itself and not self.dry_run:
            return await self._host()
        if itself:
            async with asking(self.settings) as bus:
                return await self._fork(bus)
        async with connect(server_of(self.settings) or self.settings.bus_url, settings=self.settings) as bus:
            return await self._fork(bus)

    async def _host(self) -> int:
        if not log_exists(self.settings):
            raise Wrong(f"there is no log at {self.settings.bus_url} yet; `clawx up` or `clawx run` makes one")
        if not self.waits:
            raise Wrong("nothing runs that would go on with it: leave out --no-wait, or start `clawx up` first")
        from services.cli.hosting import hosting

        async with hosting(self.settings) as (system, failed):
            return await self._fork(system.bus, failed)

    async def _fork(self, bus: Bus, failed: Failing | None = None) -> int:
        old = await self._find(bus)
        catalogue = await read_catalogue(bus)
        prepared = await self._prepare(bus, old, catalogue)
        request = await self._request(bus, old, prepared)
        question = request.model_copy(update={"dry_run": True})
        planned = (await ask(bus, question, [ForkPlanned, AskRefused], key=old.workspace_id)).record
        if isinstance(planned, AskRefused):
            raise Wrong(planned.reason)
        plan = json.loads(planned.plan.inline or await bus.blobs.get(planned.plan.digest))
        if self.dry_run:
            self._show(planned, plan)
            return DONE
        _tell(planned, plan)
        asked = await self._start(bus, request, planned)
        if not self.waits:
            print_json({"run_id": asked.run_id}) if self.following.as_json else print_line(asked.run_id)
            return DONE
        return await self.following.follow(bus, asked, prepared, failed)

    async def _find(self, bus: Bus) -> RunStarted:
        async for each in bus.subscribe("task", [RunStarted], live=False):
            record: RunStarted = each.record
            if record.run_id == self.run_id:
                return record
        raise Wrong(f"there is no run {self.run_id}")

    async def _prepare(self, bus: Bus, old: RunStarted, catalogue: Catalogue) -> Prepared:
        """The definition that the fork runs, changed or not."""
        if self.definition is not None:
            source = gather(read_source(self.definition), catalogue)
        else:
            try:
                data = await bus.blobs.get(old.definition)
            except BlobMissing as error:
                raise Wrong(f"the definition of {self.run_id} is no longer kept: {error}") from error
            source = without_lines(Workflow.from_json(data), f"definition of {self.run_id}")
        if self.professions:
            source = recast(source.workflow, self.professions, source.file)
        if self.definition is None and not self.professions:
            return Prepared(source=source, warnings=(), professions={}, blobs={})
        return prepare(source, catalogue)

    async def _request(self, bus: Bus, old: RunStarted, prepared: Prepared) -> RunForkRequested:
        changes = read_changes(prepared.source, self.inputs)
        for content in prepared.blobs.values():
            await bus.blobs.put(content)
        given = sorted(changes.items())
        inputs = [await keep_content(bus.blobs, name, each.content, each.media_type) for name, each in given]
        return RunForkRequested(
            workspace_id=old.workspace_id,
            run_id=self.run_id,
            offset=self.point.offset,
            stage=self.point.stage,
            execution=self.point.execution,
            definition=prepared.workflow.digest() if prepared.blobs else "",
            inputs=tuple(inputs),
            professions=dict(prepared.professions),
            tags=self.tags,
            idempotency_key=self.key,
        )

    async def _start(self, bus: Bus, request: RunForkRequested, planned: ForkPlanned) -> Asked:
        """Exactly at the point that was shown."""
        exact = request.model_copy(update={"offset": planned.fork.offset, "stage": "", "execution": 0})
        answer = await ask(bus, exact, [RunStarted, RunRefused, RunFound], key=request.workspace_id)
        if isinstance(answer.record, RunRefused):
            raise Wrong(f"the fork was refused: {answer.record.reason}")
        assert answer.at is not None  # only a deadline has no place on the log
        return Asked(run_id=answer.record.run_id, workspace_id=request.workspace_id, at=answer.at)

    def _show(self, planned: ForkPlanned, plan: dict[str, Any]) -> None:
        if self.following.as_json:
            print_json({**forked_from(planned.fork), **plan})
            return
        for line in _lines(planned, plan):
            print_line(line)


def _tell(planned: ForkPlanned, plan: dict[str, Any]) -> None:
    for line in _lines(planned, plan):
        tell(line)


def _lines(planned: ForkPlanned, plan: dict[str, Any]) -> list[str]:
    """What is taken over and what is asked anew, for a person."""
    ran = [(each["id"], each["executions"]) for each in plan["stages"]]
    stages = ", ".join(name + (f" x{times}" if times > 1 else "") for name, times in ran)
    artifacts = ", ".join(f"{each['name']} v{each['version']}" for each in plan["artifacts"])
    anew = ", ".join(each["id"] + (f"[{each['item']}]" if "item" in each else "") for each in plan["anew"])
    return [
        f"fork of {planned.fork.run_id} at offset {planned.fork.offset}",
        f"  reused stages     {stages or 'none'}",
        f"  reused artifacts  {artifacts or 'none'}",
        f"  asked anew        {anew or 'none'}",
    ]
