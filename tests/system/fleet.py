"""The services of one system as operating-system processes of their own, to be killed, frozen and started again."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.settings import Settings
from services.topology import SERVICES
from tests.eventually import eventually, eventually_blocking
from tests.tidy.source_tree import ROOT

logger = logging.getLogger(__name__)

STARTS_S_MAX = 180
ENDS_S_MAX = 150
STOPS_S_MAX = 60
TOLD_CHARS_MAX = 6_000
"""Of what each process said, so much of its end is shown with a failure."""


@dataclass(slots=True, kw_only=True)
class Program:
    """A started `clawx`; what it prints goes to files, which outlive it."""

    name: str
    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.process.pid

    @property
    def lives(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def lines(self) -> list[str]:
        """What stands on stdout so far, as whole lines."""
        return [line for line in self.out.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def said(self) -> str:
        """What stands on stderr so far."""
        return self.err.read_text(errors="replace")

    def has_begun(self) -> bool:
        """Whether it printed its first line; an AssertionError where it ended without one."""
        if self.lines():
            return True
        if not self.lives:
            raise RuntimeError(f"{self.name} ended with {self.process.returncode} before its first line: {self.said()}")
        return False

    async def end(self, timeout_s: float = ENDS_S_MAX) -> int:
        """Wait for its end; gives the exit code."""
        await eventually(lambda: not self.lives, timeout_s, f"the end of {self.name}")
        return int(self.process.returncode)

    def last_json(self) -> Any:
        """The object in the last line of stdout."""
        return json.loads(self.lines()[-1])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process alone."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it at once, by SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait(STOPS_S_MAX)


@dataclass(slots=True, kw_only=True)
class Fleet:
    """One system: its log, its namespace, its data directory, and its processes by name."""

    bus: str  # kafka://… ; empty for the embedded log in the data directory
    namespace: str
    home: Path
    partitions: int = 2  # few, so that a take-over is quick
    running: dict[str, Program] = field(default_factory=dict)
    programs: list[Program] = field(default_factory=list)  # all that were ever started

    @property
    def settings(self) -> Settings:
        """As its processes read them."""
        return Settings(
            bus=self.bus, namespace=self.namespace, data=self.data, partitions=self.partitions, node=self.node
        )

    @property
    def data(self) -> Path:
        """The data directory that all of them share."""
        return self.home / "data"

    @property
    def node(self) -> str:
        """The name of its one node."""
        return f"node-{self.namespace}"

    @property
    def instances(self) -> Path:
        """Below it every worker has its directory."""
        return self.data / "nodes" / self.node / "instances"

    def command(self, *arguments: str, name: str = "", **variables: str) -> Program:
        """Start a command of the real program on this system."""
        label = f"{len(self.programs)}-{name or arguments[0]}"
        self.home.mkdir(parents=True, exist_ok=True)
        out, err = self.home / f"{label}.out", self.home / f"{label}.err"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "services.cli.main", *arguments],
                cwd=self.home,
                env={**self._environment(), **variables},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        program = Program(name=label, process=process, out=out, err=err)
        self.programs.append(program)
        return program

    def _environment(self) -> Mapping[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CLAWX_")}
        ours = {
            "CLAWX_DATA": str(self.data),
            "CLAWX_NAMESPACE": self.namespace,
            "CLAWX_NODE": self.node,
            "CLAWX_PARTITIONS": str(self.partitions),
            "CLAWX_CPU_OVERCOMMIT": "100",  # whatever machine this is, a few idle instances find room
            "CLAWX_MEMORY_OVERCOMMIT": "100",
            "CLAWX_STORAGE_OVERCOMMIT": "100000",
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        return inherited | ours | ({"CLAWX_BUS": self.bus} if self.bus else {})

    async def call(self, *arguments: str, timeout_s: float = ENDS_S_MAX, **variables: str) -> Program:
        """Run a command to its end."""
        program = self.command(*arguments, **variables)
        await program.end(timeout_s)
        return program

    def run(self, flow: Path, *inputs: str, workspace: str = "default") -> Program:
        """Start a run of a workflow and follow it."""
        given = [part for each in inputs for part in ("--input", each)]
        return self.command("run", str(flow), *given, "--workspace", workspace, "--json", name=f"run-{workspace}")

    def start(self, service: str, *, name: str = "") -> Program:
        """Start a service; it may take a while until it decides."""
        program = self.command("service", service, "--json", name=name or service)
        self.running[name or service] = program
        return program

    def start_all(self) -> None:
        """Start each service that does not run, and wait until all decide."""
        for service in SERVICES:
            if service not in self.running or not self.running[service].lives:
                self.start(service)
        for program in self.running.values():
            eventually_blocking(program.has_begun, STARTS_S_MAX, f"{program.name} to decide")

    def up(self, port: int) -> Program:
        """Start the whole system in one process, on the embedded log, with its door at this port."""
        program = self.command("up", "--json", "--port", str(port))
        self.running["up"] = program
        return program

    @property
    def door(self) -> str:
        """Where to connect: the log itself where many may write it, else the door of whoever owns it."""
        return self.bus or str(json.loads(self.running["up"].lines()[0])["url"])

    def kill(self, service: str) -> Program:
        """End a service at once, by SIGKILL."""
        program = self.running.pop(service)
        program.kill()
        return program

    async def decides(self, service: str) -> None:
        """Wait until a service that was started decides."""
        await eventually(self.running[service].has_begun, STARTS_S_MAX, f"{service} to decide")

    def close(self) -> None:
        """End all that was started here: services in order, whatever else, and what does not end, at once."""
        lasting = [program for program in self.programs if program.lives]
        for program in lasting:
            program.signal(signal.SIGCONT)
            program.signal(signal.SIGTERM)
        for program in lasting:
            try:
                program.process.wait(STOPS_S_MAX)
            except subprocess.TimeoutExpired:
                program.kill()
        self.running.clear()

    def tell(self) -> str:
        """What all its processes said, for whoever looks into a failure."""
        return "\n".join(_told(program) for program in self.programs)


def _told(program: Program) -> str:
    text = (program.out.read_text(errors="replace") + program.said())[-TOLD_CHARS_MAX:]
    return f"--- {program.name} (pid {program.pid}, exit {program.process.poll()})\n{text}"


@contextmanager
def telling(system: Fleet) -> Iterator[Fleet]:
    """Print what its processes said, and end them, when the block fails."""
    try:
        yield system
    except BaseException:
        logger.error("what its processes said:\n%s", system.tell())
        system.close()
        raise


@contextmanager
def fleet(bus: str, namespace: str, home: Path, *, partitions: int = 2, started: bool = True) -> Iterator[Fleet]:
    """A system of five services, all of it ended with the block."""
    system = Fleet(bus=bus, namespace=namespace, home=home, partitions=partitions)
    with telling(system):
        try:
            if started:
                system.start_all()
            yield system
        finally:
            system.close()


def outcome(program: Program) -> Sequence[tuple[str, int, str]]:
    """Of what a run printed at its end: stage, execution and status, in the order of the log."""
    return [(each["id"], each["execution"], each["status"]) for each in program.last_json()["stages"]]
