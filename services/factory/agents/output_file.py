"""The file behind an output: it must lie in the directory of its attempt, whatever links lead to it."""

import stat
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
