"""A service dies by SIGKILL at a known record of a run and is started again: nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.eventually import eventually
from tests.system.aftermath import check_aftermath, works
from tests.system.fleet import Fleet, Program, outcome, telling
from tests.system.gate import CHAIN, Gate, gated_chain, shut
from tests.system.raw_log import RawLog, Schema, following

Found = tuple[str, Mapping[str, Any]]
"""A type of record, and what its fields must be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """Which service dies, and at which record of the run."""

    service: str
    at: Found
    after: int = 0  # so many records of the run like that come before
    at_work: bool = False  # the stage's program has begun by then
    meanwhile: Found | None = None  # the gate opens while it is dead, and this comes before it lives again
    attempts: int = 1  # of the stage at the gate, in the end

    def __str__(self) -> str:
        return f"{self.service}-at-{self.at[0]}{'-at-work' if self.at_work else ''}"

    def fields(self, found: Found) -> Mapping[str, Any]:
        """Narrowed to the workspace of this death, which is called after it."""
        return {"owner_key" if found[0].startswith("Subject") else "workspace_id": str(self), **found[1]}


BUILD = {"stage": "build"}
BUILDER = {"profession": "software_developer"}
DEATHS = [
    Death(service="factory", at=("InstanceStarting", BUILDER)),
    Death(service="factory", at=("TaskAssigned", BUILD), attempts=2),
    Death(service="factory", at=("TaskAssigned", BUILD), at_work=True, attempts=2),
    Death(service="allocator", at=("CapacityRequested", {}), after=1),
    Death(service="allocator", at=("CapacityGranted", {}), after=1),
    Death(service="router", at=("InstanceNeeded", BUILDER)),
    Death(service="router", at=("TaskAssigned", BUILD), at_work=True, meanwhile=("TaskRequested", {"stage": "check"})),
    Death(service="orchestrator", at=("StageCompleted", {"stage": "plan"})),
    Death(service="orchestrator", at=("TaskAssigned", BUILD), at_work=True, meanwhile=("TaskCompleted", BUILD)),
    Death(service="health", at=("SubjectWatched", {}), after=1, meanwhile=("RunEnded", {})),
]


@dataclass(slots=True)
class Shared:
    """The system that these tests use one after the other; after a failure the next one gets another."""

    bus: str
    place: Path
    system: Fleet | None = None
    made: int = 0

    def take(self, namespace: str) -> Fleet:
        """A system of which all services run."""
        if self.system is None:
            self.made += 1
            self.system = Fleet(bus=self.bus, namespace=namespace, home=self.place / str(self.made))
        self.system.start_all()
        return self.system

    def discard(self) -> None:
        """End it."""
        if self.system is not None:
            self.system.close()
            self.system = None


@pytest.fixture(scope="module")
def shared(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """Kept for the module, since starting five services takes longer than what is tested here."""
    found = Shared(f"kafka://{kafka}", tmp_path_factory.mktemp("killed"))
    yield found
    found.discard()


@pytest.fixture
def system(shared: Shared, namespace: str) -> Fleet:
    """Five services that run and have nothing to do."""
    return shared.take(namespace)


@pytest.mark.parametrize("death", DEATHS, ids=str)
async def test_a_run_goes_on_when_a_service_lives_again(
    death: Death, shared: Shared, system: Fleet, tmp_path: Path, schemas: Mapping[str, Schema]
) -> None:
    shared.system = None  # nobody else may have it unless this ends well
    with telling(system), shut(tmp_path / "gate") as gate:
        async with following(system.bus, system.namespace, schemas) as raw:
            program = system.run(gated_chain(gate), workspace=str(death))
            await die(death, system, gate, raw)
            await live_again(death, system, gate)
            assert await program.end() == 0, program.said()
            await raw.find("RunEnded", run_id=program.last_json()["run_id"])
            check_run(death, program, raw)
            await check_aftermath(system, raw)
    shared.system = system


async def die(death: Death, system: Fleet, gate: Gate, raw: RawLog) -> None:
    """Kill the service at its record; where so wanted, the run comes as far as it can without it."""
    await raw.find(death.at[0], after=death.after, **death.fields(death.at))
    if death.at_work:
        await gate.reached()
    system.kill(death.service)
    if death.meanwhile:
        gate.open()
        await raw.find(death.meanwhile[0], **death.fields(death.meanwhile))


async def live_again(death: Death, system: Fleet, gate: Gate) -> None:
    """Start the service again; whatever was at work below it is gone before it decides."""
    before = gate.begun()
    system.start(death.service)
    await system.decides(death.service)
    if death.service == "factory":
        await eventually(lambda: not any(map(works, before)), what=f"the end of {before}")
    gate.open()


def check_run(death: Death, program: Program, raw: RawLog) -> None:
    """The run is as if nothing had happened, but for what a node took with it."""
    assert outcome(program) == CHAIN
    attempts = {each["id"]: each["attempts"] for each in program.last_json()["stages"]}
    assert attempts["build"] == death.attempts
    completed = [line["stage"] for line in raw.of("StageCompleted", run_id=program.last_json()["run_id"])]
    assert completed == [stage for stage, _, _ in CHAIN]
