"""The pulse of a node: a heartbeat with those of its workers that have answered since the last one."""

import os
from collections.abc import Iterable, Mapping

from services.factory.held_instance import HeldInstance
from services.factory.worker.process_tree import Process, find_descendants, read_processes
from services.records.telemetry import WorkerPulse

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


PULSES_MAX = 500
"""So many fit one heartbeat."""


def take_pulses(instances: Iterable[HeldInstance]) -> list[tuple[WorkerPulse, ...]]:
    """Ask every ready worker whether it is there, and describe those that answered what was asked the last time.

    As many tuples as heartbeats are needed; one that is empty where there is nobody.
    """
    alive = [held for held in instances if held.is_ready and held.worker and not held.finishing and held.worker.ping()]
    has_processes = any(held.worker and held.worker.pid for held in alive)
    table = read_processes() if has_processes else {}
    pulses = [_pulse(held, table) for held in alive]
    return [tuple(pulses[at : at + PULSES_MAX]) for at in range(0, max(1, len(pulses)), PULSES_MAX)]


def _pulse(held: HeldInstance, table: Mapping[int, Process]) -> WorkerPulse:
    pid = held.worker.pid if held.worker else 0
    tree = [table[each] for each in (pid, *find_descendants([pid], table)) if each in table] if pid else []
    return WorkerPulse(
        instance_id=held.instance_id,
        workspace_id=held.order.workspace_id,
        incarnation=held.incarnation,
        busy=held.running,
        cpu_ms=sum(process.cpu for process in tree) * 1000 // _TICKS_A_SECOND,
        memory_mib=sum(process.pages for process in tree) * _PAGE_BYTES // (1024 * 1024),
    )
