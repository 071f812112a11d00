"""What must be so behind every fault, once the run is over: all that was begun is ended, freed and gone."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

from services.client import connect
from services.records.event import InstanceDestroyRequested
from tests.eventually import eventually
from tests.services.factory.process_table import find_processes
from tests.system.fleet import Fleet
from tests.system.gate import Begun
from tests.system.laws import broken_laws, living_instances, open_grants, open_needs, open_work
from tests.system.raw_log import RawLog

QUIET_S_MAX = 120


async def check_aftermath(system: Fleet, raw: RawLog) -> None:
    """Destroy every instance, let all come to rest, then count everything from the raw log and the process table."""
    await destroy_all(system, raw)
    await raw.until(lambda: not open_work(raw), QUIET_S_MAX, "the end of all work")
    await raw.until(lambda: not open_grants(raw), QUIET_S_MAX, "the release of all grants")
    await check_laws(raw)
    await eventually(lambda: not workers_left(system, raw), QUIET_S_MAX, "the end of every worker")


async def destroy_all(system: Fleet, raw: RawLog) -> None:
    """Ask for the end of each instance that lives, also of one that is only accepted now, and wait until none does."""
    asked: set[tuple[str, str]] = set()
    async with connect(system.door, settings=system.settings) as bus:
        while living := await still_living(raw):
            for workspace, instance_id in sorted(living - asked):
                await bus.publish(InstanceDestroyRequested(workspace_id=workspace, instance_id=instance_id))
            asked |= living
            what = f"the end of {living}, or another that lives"
            await raw.until(lambda: living_instances(raw) != living, QUIET_S_MAX, what)


async def still_living(raw: RawLog) -> set[tuple[str, str]]:
    """The instances that live, and that the router still waits for, by all that the log holds now."""
    await raw.catch_up()
    await raw.until(lambda: not open_needs(raw), QUIET_S_MAX, "an answer to every need of an instance")
    return living_instances(raw)


async def check_laws(raw: RawLog) -> None:
    """Every law holds of all that the log holds now; the channels are read one beside the other, so a cause may be
    to come where its effect is there."""
    await raw.catch_up()
    with suppress(AssertionError):
        await raw.until(lambda: not broken_laws(raw), QUIET_S_MAX)
    broken = broken_laws(raw)
    assert not broken, "\n".join(broken)


def workers_left(system: Fleet, raw: RawLog) -> list[str]:
    """Workers that the log says have ended and the process table still has, by number or by place."""
    left = []
    for line in raw.of("WorkerStarted"):
        place = system.instances / f"{line['instance_id']}.{line['incarnation']}"
        if works_at(line["pid"], str(place)):
            left.append(f"worker {line['pid']} of {place}")
    return left + [str(process) for process in find_processes(system.instances)]


def works_at(pid: int, place: str) -> bool:
    """Whether a process of this number lives and works at this place or below; the number may be another's by now."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.cwd().startswith(place)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def works(begun: Begun) -> bool:
    """Whether the program of an attempt, or the worker above it, still lives where it worked."""
    return works_at(begun.pid, begun.directory) or works_at(begun.worker, str(Path(begun.directory).parent.parent))
