"""What must be so behind every fault, once the run is over: all that was begun is ended, freed and gone."""

from __future__ import annotations

from pathlib import Path

import psutil

from services.client import connect
from services.records.event import InstanceDestroyRequested
from tests.eventually import eventually
from tests.services.factory.process_table import find_processes
from tests.system.fleet import Fleet
from tests.system.gate import Begun
from tests.system.laws import broken_laws, living_instances, open_grants, open_work
from tests.system.raw_log import RawLog

QUIET_S_MAX = 120


async def check_aftermath(system: Fleet, raw: RawLog) -> None:
    """Destroy every instance, let all come to rest, then count everything from the raw log and the process table."""
    await destroy_all(system, raw)
    await raw.until(lambda: not open_work(raw), QUIET_S_MAX, f"the end of {open_work(raw)}")
    await raw.until(lambda: not open_grants(raw), QUIET_S_MAX, f"the release of {open_grants(raw)}")
    broken = broken_laws(raw)
    assert not broken, "\n".join(broken)
    await eventually(lambda: not workers_left(system, raw), QUIET_S_MAX, "the end of every worker")


async def destroy_all(system: Fleet, raw: RawLog) -> None:
    """Ask for the end of each instance that lives, and wait until none does."""
    async with connect(system.door, settings=system.settings) as bus:
        for workspace, instance_id in sorted(living_instances(raw)):
            await bus.publish(InstanceDestroyRequested(workspace_id=workspace, instance_id=instance_id))
    await raw.until(lambda: not living_instances(raw), QUIET_S_MAX, f"the end of {living_instances(raw)}")


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
