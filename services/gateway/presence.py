"""Where the gateway of this machine is, for the commands that are typed on it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

_FILE = "server.json"
_CONNECT_S_MAX = 1.0


@contextmanager
def announced(directory: Path, url: str) -> Iterator[None]:
    """Let commands on the same data directory find this process for as long as it serves."""
    path = directory / _FILE
    partial = path.with_name(f".{_FILE}.{os.getpid()}")
    partial.write_text(json.dumps({"url": url, "pid": os.getpid()}) + "\n")
    partial.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def find_server(directory: Path) -> str:
    """URL of the gateway that serves from this data directory; empty if there is none, or no longer."""
    try:
        found = json.loads((directory / _FILE).read_text())
        url = str(found["url"])
        os.kill(found["pid"], 0)  # tells whether there is such a process, and does nothing to it
        split = urlsplit(url)
        socket.create_connection((split.hostname or "", split.port or 0), _CONNECT_S_MAX).close()
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return url
