"""The directories that a worker reads: the Python that runs it, its program, and where programs are looked for."""

import os
import shutil
import sys
from pathlib import Path

from services.factory.drivers.launching import WORKER_PROGRAM, node_environment

SERVICES = WORKER_PROGRAM.parents[2]
"""The package that the worker's program lies in."""


PROGRAMS = ("claude", "codex", "openclaw", "node")
"""Of agents; each may be a link to a place that is on no search path."""


def find_programs() -> set[Path]:
    """The directories that the programs of agents really lie in, with all that was installed beside them."""
    found = {shutil.which(name, path=node_environment()["PATH"]) for name in PROGRAMS}
    return {_place_of(Path(each).resolve()) for each in found if each}


def _place_of(program: Path) -> Path:
    packages = [above for above in program.parents if above.name == "node_modules"]
    return packages[-1] if packages else program.parent


def find_surroundings() -> tuple[Path, ...]:
    """Real paths, none of them below another one. The directories of the search path come as they are named too."""
    found = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parents[1], SERVICES}
    for name in node_environment()["PATH"].split(os.pathsep):
        place = Path(name)
        # One that this user may not enter is none for the workers either.
        if place.is_absolute() and os.access(place, os.X_OK) and place.is_dir() and place != Path(place.root):
            found.add(place)
    found |= find_programs()
    real = {each.resolve() for each in found}
    return tuple(sorted(each for each in real if not any(other in each.parents for other in real)))
