"""Workers die in the middle of a task, alone or with the whole system above them: the stage is tried again and ends."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.brokers.loopback import free_ports
from tests.eventually import eventually
from tests.system.aftermath import check_aftermath, works
from tests.system.fleet import Fleet, Program, outcome
from tests.system.gate import CHAIN, Gate, gated_chain, shut
from tests.system.raw_log import Line, RawLog, Schema, following


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate that is shut."""
    with shut(tmp_path / "gate") as found:
        yield found


@pytest.fixture
def port() -> int:
    """Where the door of an embedded system is, also after a restart."""
    return free_ports(1)[0]


@asynccontextmanager
async def embedded_log(system: Fleet, port: int, schemas: Mapping[str, Schema]) -> AsyncIterator[RawLog]:
    """The log of an embedded system, once that is up."""
    system.up(port)
    await system.decides("up")
    async with following(system.settings.bus_url, system.namespace, schemas) as raw:
        yield raw


async def test_a_killed_worker_on_kafka(system: Fleet, gate: Gate, schemas: Mapping[str, Schema]) -> None:
    async with following(system.bus, system.namespace, schemas) as raw:
        await kill_worker(system, gate, raw)


async def test_a_killed_worker_on_the_embedded_log(
    embedded: Fleet, port: int, gate: Gate, schemas: Mapping[str, Schema]
) -> None:
    async with embedded_log(embedded, port, schemas) as raw:
        await kill_worker(embedded, gate, raw)


async def kill_worker(system: Fleet, gate: Gate, raw: RawLog) -> None:
    """Kill the worker of the stage at the gate, and see the stage tried again by another."""
    program = system.run(gated_chain(gate))
    begun = await gate.reached()
    os.kill(begun.worker, signal.SIGKILL)
    failed = await raw.find("AttemptFailed", stage="build")
    assert failed["code"] == "worker_lost"
    again = await gate.reached(2)
    assert not works(begun)
    assert again.worker != begun.worker
    await raw.find("TaskAssigned", after=1, stage="build")
    first, second = raw.of("TaskAssigned", stage="build")
    assert worker_of(first) != worker_of(second)
    await end_well(system, gate, raw, program)


def worker_of(assigned: Line) -> tuple[str, int]:
    """Which incarnation of which instance."""
    return assigned["instance_id"], assigned["incarnation"]


async def end_well(system: Fleet, gate: Gate, raw: RawLog, program: Program) -> None:
    """Open the gate; the run completes with one more attempt, and nothing is left of it."""
    gate.open()
    assert await program.end() == 0, program.said()
    assert outcome(program) == CHAIN
    attempts = {each["id"]: each["attempts"] for each in program.last_json()["stages"]}
    assert attempts == {"plan": 1, "build": 2, "check": 1, "done": 0}
    await check_aftermath(system, raw)


async def test_the_whole_system_killed_on_the_embedded_log(
    embedded: Fleet, port: int, gate: Gate, schemas: Mapping[str, Schema]
) -> None:
    async with embedded_log(embedded, port, schemas) as raw:
        program = embedded.run(gated_chain(gate))
        begun = await gate.reached()
        embedded.kill("up")
        embedded.up(port)
        await gate.reached(2)
        await eventually(lambda: not works(begun), what=f"the end of {begun}")
        await end_well(embedded, gate, raw, program)
