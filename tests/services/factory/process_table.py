"""The process table as somebody outside the node sees it."""

from pathlib import Path

import psutil


def find_processes(directory: Path, *marks: str) -> list[psutil.Process]:
    """Living processes that work or have their home below a directory, or have one of these marks in their command."""
    return [process for process in psutil.process_iter() if _belongs(process, str(directory.resolve()), marks)]


def _belongs(process: psutil.Process, directory: str, marks: tuple[str, ...]) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        places = (process.cwd(), process.environ().get("HOME", ""))
        command = " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return any(place.startswith(directory) for place in places) or any(mark in command for mark in marks)


def find_zombies() -> list[psutil.Process]:
    """Dead children that this process has not collected."""
    return [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]
