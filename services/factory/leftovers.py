"""What an earlier life of a node left: processes to be killed, attempts and workers to be reported, directories."""

import logging
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from services.factory.journal import Journal
from services.factory.worker.process_tree import Process, find_descendants, kill_all

logger = logging.getLogger(__name__)

KILL_WITHIN_S = 5.0
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def read_boot() -> str:
    """Which start of the machine this is; process numbers mean something within one only."""
    with suppress(OSError):
        return _BOOT.read_text(encoding="ascii").strip()
    return ""


def kill_leftovers(journal: Journal, instances: Path) -> set[int]:
    """End every process that the journal names, all below them, and all that have a home below `instances`; returns
    who cannot be killed. A number that belongs to another process by now is left alone."""
    known = [journal.launcher, *journal.instances.values()] if journal.boot == read_boot() else []
    born = {entry["pid"]: entry["born"] for entry in known if entry.get("pid")}
    left = kill_all(lambda table: _find(table, born, os.fsencode(instances)), reap=lambda: None, within_s=KILL_WITHIN_S)
    if left:
        logger.error("these processes of an earlier life cannot be killed: %s", sorted(left))
    return left


def _find(table: Mapping[int, Process], born: Mapping[int, int], instances: bytes) -> Collection[int]:
    roots = {pid for pid, started in born.items() if pid in table and table[pid].started == started}
    homes = {pid for pid in table if _has_home_below(pid, instances)}
    return (roots | homes | find_descendants(roots | homes, table)) - {os.getpid()}


def _has_home_below(pid: int, instances: bytes) -> bool:
    with suppress(OSError):
        return b"\0HOME=" + instances + b"/" in b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
    return False
