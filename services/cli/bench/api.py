"""`clawx bench api`: how soon the gateway of an embedded system answers while very many only listen."""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

import aiohttp
import psutil

from services.cli.bench.pace import at_rate
from services.cli.failure import Failed

START_S_MAX = 60
STREAMS_AT_ONCE = 50
FILES = 8192
"""Most files and sockets that a process needs here."""

FLOW = "id: done\nstages:\n  - {id: stop, kind: end, end: {status: completed}}\n"
WRITES = 0.2
"""The part of the calls that start a run; the others read."""


@dataclass(kw_only=True)
class Calls:
    """Calls at a steady rate, each timed from when it was due, so that a stall counts for all that it delays."""

    http: aiohttp.ClientSession
    url: str
    seed: int = 1
    run_ids: list[str] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    async def run(self, rate: int, seconds: float) -> None:
        """Make so many calls a second for so long."""
        chance = random.Random(self.seed)
        await at_rate(rate, int(rate * seconds), lambda _, due: self._call(chance.random(), due))

    async def _call(self, chance: float, due: float) -> None:
        if chance < WRITES or not self.run_ids:
            await self._write(due)
        elif chance < 0.5:
            await self._read(f"/runs/{self.run_ids[-1]}", due)
        elif chance < 0.8:
            await self._read("/runs?limit=20", due)
        else:
            await self._read("/instances", due)

    async def _read(self, path: str, due: float) -> None:
        async with self.http.get(f"{self.url}/api/v1{path}") as response:
            await response.read()
            self._note(response.status, due)

    async def _write(self, due: float) -> None:
        async with self.http.post(f"{self.url}/api/v1/runs", json={"workflow": FLOW}) as response:
            found = await response.json()
            self._note(response.status, due)
            if response.status == 201:
                self.run_ids.append(found["run_id"])

    def _note(self, status: int, due: float) -> None:
        self.statuses[status] += 1
        self.latencies_s.append(time.perf_counter() - due)


async def bench_api(streams: int, rate: int, seconds: float) -> dict[str, Any]:
    """Open the streams, make the calls, and give the figures."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, FILES)), hard))
    async with _system() as (url, key, process):
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=START_S_MAX)
        headers = {"Authorization": f"Bearer {key}"}
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as http:
            opened = await _open_streams(http, url, streams)
            warm = Calls(http=http, url=url)
            await warm.run(rate, 1.0)
            calls = Calls(http=http, url=url, run_ids=warm.run_ids)
            began, cpu_s = time.perf_counter(), _cpu_s(process)
            await calls.run(rate, seconds)
            elapsed_s, cpu_s = time.perf_counter() - began, _cpu_s(process) - cpu_s
            silent = sum(not response.content.at_eof() for response in opened)
            for response in opened:
                response.close()
    return _figures(calls, silent, elapsed_s, cpu_s)


def _figures(calls: Calls, streams: int, elapsed_s: float, cpu_s: float) -> dict[str, Any]:
    cuts = quantiles(calls.latencies_s, n=1000)
    return {
        "streams": streams,
        "requests": len(calls.latencies_s),
        "requests_per_s": round(len(calls.latencies_s) / elapsed_s),
        "p50_ms": round(cuts[499] * 1000, 1),
        "p90_ms": round(cuts[899] * 1000, 1),
        "p99_ms": round(cuts[989] * 1000, 1),
        "cpu_us_per_request": round(cpu_s / len(calls.latencies_s) * 1_000_000),
        "max_ms": round(max(calls.latencies_s) * 1000, 1),
        "statuses": {str(status): count for status, count in sorted(calls.statuses.items())},
    }


async def _open_streams(http: aiohttp.ClientSession, url: str, count: int) -> list[aiohttp.ClientResponse]:
    """Streams of a channel on which nothing happens."""
    gate = asyncio.Semaphore(STREAMS_AT_ONCE)

    async def open_one() -> aiohttp.ClientResponse:
        async with gate:
            response = await http.get(f"{url}/api/v1/streams/records?channel=review")
            if response.status != 200:
                raise Failed(f"a stream was refused: {response.status} {(await response.text())[:200]}")
            await response.content.readline()
            return response

    return list(await asyncio.gather(*(open_one() for _ in range(count))))


def _cpu_s(process: psutil.Process) -> float:
    """What a process has used of all cores."""
    times = process.cpu_times()
    return float(times.user + times.system)


@asynccontextmanager
async def _system() -> AsyncIterator[tuple[str, str, psutil.Process]]:
    """A whole system in another process, on a log of its own; gives URL and key of its gateway, and the process."""
    with tempfile.TemporaryDirectory(prefix="clawx-bench-") as directory:
        command = ("-m", "services.cli.main", "up", "--json", "--port", "0", "--data", str(Path(directory) / "data"))
        process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
        try:
            assert process.stdout is not None  # it was asked for
            async with asyncio.timeout(START_S_MAX):
                line = await process.stdout.readline()
            if not line:
                raise Failed("the system did not start")
            said = json.loads(line)
            yield said["url"], said["key"], psutil.Process(process.pid)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
