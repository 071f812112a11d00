"""A log as the whole system records it: runs that end well, are tried again, fail and are cancelled, by two owners."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from bus.channel import Partition
from bus.log import Log, Stored
from tests.services.cli.program import run

CHAIN = """
id: chain
stages:
  - {id: design, profession: software_architect, agent: script, output: [plan], next: [build]}
  - {id: build, profession: software_developer, agent: script, input: [plan], output: [code], next: [check]}
  - id: check
    profession: qa_engineer
    agent: script
    input: [code]
    output: [report]
    retry: {max_attempts: 3, backoff: 10ms}
    with: {script: [{fail: no luck}, {result: {passed: true}, outputs: {report: good}}]}
"""

DOOMED = """
id: doomed
stages:
  - {id: only, profession: qa_engineer, agent: script, output: [report], with: {script: [{fail: never}]}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A data directory that no process holds, and the runs in it."""

    data: Path
    chain: str
    again: str
    doomed: str

    @property
    def url(self) -> str:
        return f"sqlite:///{self.data / 'log'}"

    @property
    def blobs(self) -> Path:
        return self.data / "blobs"


def record(directory: Path) -> Recorded:
    """Run the program three times on one data directory."""
    data = directory / "data"
    ids = [_run(directory, data, name, text) for name, text in (("a", CHAIN), ("b", CHAIN), ("c", DOOMED))]
    return Recorded(data=data, chain=ids[0], again=ids[1], doomed=ids[2])


def _run(directory: Path, data: Path, name: str, text: str) -> str:
    path = directory / f"{name}.yaml"
    path.write_text(text)
    return str(json.loads(run("run", str(path), "--json", data=data).lines[-1])["run_id"])


async def read_all(log: Log, channels: tuple[str, ...]) -> dict[Partition, list[Stored]]:
    """Every record of these channels."""
    partitions = [Partition(channel, number) for channel in channels for number in range(log.partitions)]
    ends = await log.ends(partitions)
    found: dict[Partition, list[Stored]] = {partition: [] for partition in partitions}
    for partition, records in found.items():
        reader = await log.reader({partition: 0})
        while len(records) < ends[partition]:
            records += (await reader.read()).get(partition, ())
        await reader.close()
    return found
