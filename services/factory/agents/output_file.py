"""The file behind an output: it must lie in the directory of its attempt, whatever links lead to it."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.factory.agents.envelope import EnvelopeBroken


def find_output(directory: Path, name: str, path: str) -> Path:
    """The real place of an output's file; raises EnvelopeBroken for one that is missing, outside or no file."""
    try:
        root = directory.resolve(strict=True)
        place = (directory / path).resolve(strict=True)
        mode = place.stat().st_mode
    except FileNotFoundError as error:
        raise EnvelopeBroken(f"output {name!r}: there is no file {path}") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise EnvelopeBroken(f"output {name!r}: {path!r} leads to no file: {error}") from error
    if not place.is_relative_to(root):
        raise EnvelopeBroken(f"output {name!r}: {path} leads out of the attempt's directory")
    if not stat.S_ISREG(mode):
        raise EnvelopeBroken(f"output {name!r}: {path} is no regular file")
    return place


@contextmanager
def opened_output(directory: Path, name: str, path: str) -> Iterator[tuple[Path, Path]]:
    """Where the file lies, and a path to the very file that was opened and checked, whatever becomes of its name.

    Raises EnvelopeBroken like `find_output`, also where the name led elsewhere by the time it was opened.
    """
    place = find_output(directory, name, path)
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise EnvelopeBroken(f"output {name!r}: {path} was changed while it was taken: {error.strerror}") from error
    try:
        held = Path(f"/proc/self/fd/{descriptor}")
        is_inside = held.readlink().is_relative_to(directory.resolve(strict=True))
        if not is_inside or not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise EnvelopeBroken(f"output {name!r}: {path} was changed while it was taken")
        yield place, held
    finally:
        os.close(descriptor)
