"""The gateway's key: made on the first day, kept where only its owner can read it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from bus.errors import Unavailable
from services.client import KEY_FILE

_KEY_BYTES = 32


def keep_key(directory: Path) -> str:
    """The key in this directory, made if there is none; its file is for its owner alone."""
    path = directory / KEY_FILE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        path.chmod(0o600)
        return path.read_text().strip()
    except OSError as error:
        raise Unavailable(f"the key file {path} cannot be used: {error.strerror}") from error


def _make(path: Path) -> None:
    """Written under another name first, so that nobody ever reads half a key; of two at once the first wins."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(_KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if not path.exists():
            os.link(partial, path)
    except FileExistsError:
        return  # another process was faster, and its key stands
    finally:
        partial.unlink(missing_ok=True)
