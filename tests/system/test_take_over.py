"""Owners change in the middle of a load: an orchestrator takes over from a frozen one, a router joins and leaves."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.system.aftermath import check_aftermath
from tests.system.fleet import Fleet, fleet
from tests.system.load import loaded
from tests.system.raw_log import Line, RawLog, Schema, following

RUNS = 30


@pytest.fixture
def system(kafka: str, namespace: str, tmp_path: Path) -> Iterator[Fleet]:
    """Five services, with a partition or two for each of two owners of a role."""
    with fleet(f"kafka://{kafka}", namespace, tmp_path / "system", partitions=4) as found:
        yield found


def claims(raw: RawLog, role: str) -> dict[int, list[Line]]:
    """The claims of a role that count, by partition."""
    found: dict[int, list[Line]] = {}
    for line in raw.of("Claimed", role=role):
        found.setdefault(line.number, []).append(line)
    return found


async def test_a_frozen_orchestrator_wakes_up_when_another_has_taken_over(
    system: Fleet, schemas: Mapping[str, Schema]
) -> None:
    async with following(system.bus, system.namespace, schemas) as raw:
        async with loaded(system, raw, RUNS) as load:
            await load.ends(RUNS // 3)
            frozen = system.running["orchestrator"]
            frozen.signal(signal.SIGSTOP)
            await raw.until(lambda: len(claims(raw, "orchestrator.runs")) == system.partitions)
            before = claims(raw, "orchestrator.runs")
            system.start("orchestrator", name="heir")
            await raw.until(lambda: all(len(c) > len(before[n]) for n, c in claims(raw, "orchestrator.runs").items()))
            await load.ends(load.ended() + 1)
            frozen.signal(signal.SIGCONT)
            await load.ends(load.ended() + RUNS)
        check_fenced(raw, before)
        await check_aftermath(system, raw)


def check_fenced(raw: RawLog, before: Mapping[int, list[Line]]) -> None:
    """If the frozen one said anything when it woke, it does not count; it may have read of its heir before it could."""
    sessions = {lines[-1].session for lines in before.values()}
    late = [line for line in raw.lines if line.session in sessions and not line.counts]
    assert all(line.kind in ("fact", "post") for line in late)


async def test_a_second_router_joins_and_leaves(system: Fleet, schemas: Mapping[str, Schema]) -> None:
    async with following(system.bus, system.namespace, schemas) as raw:
        async with loaded(system, raw, RUNS) as load:
            await load.ends(RUNS // 3)
            await join(system, raw)
            await load.ends(load.ended() + 1)
            leaving = system.running.pop("second")
            leaving.signal(signal.SIGTERM)
            assert await leaving.end() == 0
        await moved(raw, 4 + 2 + 2)
        assert moves(raw) == [1, 1, 3, 3], "two partitions went to the second router and came back, and no other moved"
        await check_aftermath(system, raw)


async def join(system: Fleet, raw: RawLog) -> None:
    """Start a second router and wait until it owns its share."""
    system.start("router", name="second")
    await system.decides("second")
    await moved(raw, 4 + 2)


def moves(raw: RawLog) -> list[int]:
    """How often each partition of the roster was taken, as far as the log was read; the least first."""
    return sorted(len(lines) for lines in claims(raw, "router.roster").values())


async def moved(raw: RawLog, count: int) -> None:
    """Wait until partitions were taken so often: who takes over does it in its own time, and so is the log read."""
    await raw.until(lambda: sum(moves(raw)) >= count, what=f"{count} claims of the roster")
