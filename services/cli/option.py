"""The options that many commands share, and the settings that they and the environment lead to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Wrong

if TYPE_CHECKING:
    from services.settings import Settings

Bus = Annotated[
    str, typer.Option("--bus", metavar="URL", help="Open this log itself: sqlite:///PATH or kafka://HOST:PORT.")
]
Server = Annotated[
    str, typer.Option("--server", metavar="URL", help="Ask this running gateway; without it, one that runs here.")
]
Data = Annotated[
    Path | None, typer.Option("--data", metavar="DIRECTORY", help="Where logs, blobs and the key are kept.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON of a stable shape.")]
Workspace = Annotated[str, typer.Option("--workspace", metavar="NAME", help="The workspace it belongs to.")]

WORKSPACE_DEFAULT = "default"


def read_settings(bus: str = "", server: str = "", data: Path | None = None, **more: object) -> Settings:
    """Settings from the environment and these options; raises Wrong where options contradict each other."""
    from services.settings import Settings

    if bus and server:
        raise Wrong("--bus opens a log itself and --server asks a running gateway: give one of the two")
    given = {"bus": bus or None, "server": server or None, "data": data.absolute() if data else None}
    return Settings.read(os.environ, **given, **more)
