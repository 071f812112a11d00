"""Settings of a process: read once from the environment and the command line into one frozen value."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from bus.channel import NAMESPACE_DEFAULT, PARTITIONS_DEFAULT
from bus.errors import Refused

PREFIX = "CLAWX_"
OF_TESTS = "CLAWX_TEST_"
"""Variables with this prefix are read by the tests alone."""


def _home() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "clawx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Each field is the environment variable CLAWX_ and its name in capitals; the command line overrides them."""

    bus: str = ""  # sqlite:///PATH or kafka://HOST:PORT[,…]; empty: the embedded log in `data`
    data: Path = field(default_factory=_home)  # logs, blobs, keys and nodes live below it
    blobs: Path | None = None  # shared by all processes of a system; by default below `data`
    namespace: str = NAMESPACE_DEFAULT
    partitions: int = PARTITIONS_DEFAULT  # of a namespace that is still to be made
    pool: str = "default"
    node: str = field(default_factory=socket.gethostname)
    cpu_overcommit: int = 8  # how often a node promises each of its cores
    memory_overcommit: int = 2
    host: str = "127.0.0.1"  # of the gateway
    port: int = 7420
    key: str = ""  # of the gateway; otherwise kept in `data`
    server: str = ""  # URL of a running gateway

    @classmethod
    def read(cls, environment: Mapping[str, str], **given: object) -> Settings:
        """From the environment, overridden by what was given and is not None. Raises Refused naming the variable."""
        kinds = {f.name: f for f in fields(cls)}
        found: dict[str, object] = {}
        for variable, text in sorted(environment.items()):
            if not variable.startswith(PREFIX) or variable.startswith(OF_TESTS):
                continue
            name = variable.removeprefix(PREFIX).lower()
            if name not in kinds:
                known = ", ".join(PREFIX + n.upper() for n in sorted(kinds))
                raise Refused(f"the environment variable {variable} is none of ours; known are {known}")
            found[name] = _parse(variable, text, str(kinds[name].type))
        return cls(**{**found, **{k: v for k, v in given.items() if v is not None}})  # type: ignore[arg-type]

    @property
    def bus_url(self) -> str:
        return self.bus or f"sqlite:///{self.data.absolute() / 'log'}"

    @property
    def blob_directory(self) -> Path:
        return self.blobs or self.data / "blobs"

    @property
    def is_embedded(self) -> bool:
        return self.bus_url.startswith("sqlite:")


def _parse(variable: str, text: str, kind: str) -> object:
    if kind == "int":
        try:
            return int(text)
        except ValueError as error:
            raise Refused(f"{variable} must be a whole number, found {text!r}") from error
    return Path(text) if kind.startswith("Path") else text
