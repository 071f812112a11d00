"""The media that the one suite runs on: each knows how to open its log, again and again."""

from pathlib import Path
from typing import Protocol

from bus.address import open_log
from bus.log import Log

PARTITIONS = 3


class Medium(Protocol):
    """Where one namespace of a test lives."""

    async def open(self) -> Log:
        """Open the log, which is made the first time; close it before opening it again."""


class SqliteMedium:
    """A file in a directory of the test."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "log.sqlite"

    async def open(self) -> Log:
        return await open_log(f"sqlite:///{self.path}", partitions=PARTITIONS)


class KafkaMedium:
    """Topics of the test's own on a broker."""

    def __init__(self, bootstrap: str, namespace: str) -> None:
        self.bootstrap = bootstrap
        self.namespace = namespace

    async def open(self) -> Log:
        return await open_log(f"kafka://{self.bootstrap}?namespace={self.namespace}", partitions=PARTITIONS)
