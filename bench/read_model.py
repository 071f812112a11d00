"""Measures how fast the read model is built anew from a stored log, in PostgreSQL and in SQLite.

    python bench/read_model.py [--log URL] [--runs N] [--database URL]

Without a log, three-stage runs are recorded first. Without a database, a PostgreSQL of the tests' own is started, and a
SQLite file is measured too. Prints a line of JSON for each database: wall-clock time from empty tables to the last
record, and the CPU time of this process and of a server that it has started, so that a busy machine can be told from a
slow program.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import psutil  # noqa: E402
import psycopg  # noqa: E402

from bus.address import view_log  # noqa: E402
from bus.log import Log  # noqa: E402
from services.audit.database import open_database  # noqa: E402
from services.audit.following import Follower  # noqa: E402
from services.audit.read_model import ReadModel  # noqa: E402
from services.cli.bench.fleet import Fleet  # noqa: E402
from services.cli.bench.load import Load  # noqa: E402
from services.records import language_codec  # noqa: E402
from services.settings import Settings  # noqa: E402
from services.system import hosted  # noqa: E402
from tests.brokers.postgres_source import postgres_url  # noqa: E402


async def record(directory: Path, runs: int) -> str:
    """The URL of a log with so many runs in it."""
    settings = Settings(data=directory)
    async with hosted(settings) as system:
        await system.decides()
        fleet = Fleet(log=system.log, codec=system.codec, blobs=system.blobs, namespace=settings.namespace)
        load = Load(fleet=fleet, workspaces=32, concurrency=128, agent="inline")
        await load.prepare()
        await load.run(runs)
        await load.close()
    return settings.bus_url


async def rebuild(log: Log, database: str) -> dict[str, Any]:
    """Build the tables from nothing, and say how long it took."""
    engine = open_database(database)
    model = ReadModel(engine, log.namespace, log.partitions)
    model.drop()
    follower = Follower(log, language_codec(), model)
    began, cpu, server_cpu = time.perf_counter(), time.process_time(), children_cpu_s()
    task = asyncio.create_task(follower.run())
    caught_up = asyncio.create_task(follower.caught_up.wait())
    await asyncio.wait({task, caught_up}, return_when=asyncio.FIRST_COMPLETED)
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    if task.done():
        task.result()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    engine.dispose()
    return {
        "database": engine.dialect.name,
        "records": follower.records,
        "seconds": round(seconds, 2),
        "records_per_s": round(follower.records / seconds),
        "cpu_us_per_record": round(cpu_s / follower.records * 1e6, 1),
        "server_cpu_us_per_record": round((children_cpu_s() - server_cpu) / follower.records * 1e6, 1),
        "lag": follower.lag,
        "load_average": round(os.getloadavg()[0], 1),
    }


def children_cpu_s() -> float:
    """CPU seconds so far of the processes below this one, a server's among them."""
    used = 0.0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            used += times.user + times.system
    return used


@contextlib.contextmanager
def databases(given: str, directory: Path) -> Iterator[list[str]]:
    """The URLs of the databases to measure, all of them empty."""
    if given:
        yield [given]
        return
    with postgres_url() as server:
        name = f"bench{secrets.token_hex(4)}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
            yield [server.rsplit("/", 1)[0] + f"/{name}", f"sqlite:///{directory / 'model.sqlite'}"]
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


async def measure(url: str, database: str) -> dict[str, Any]:
    log = await view_log(url)
    try:
        return await rebuild(log, database)
    finally:
        await log.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures how fast the read model is rebuilt.")
    parser.add_argument("--log", default="", help="a stored log; by default one is recorded")
    parser.add_argument("--runs", type=int, default=3000, help="how many runs are recorded")
    parser.add_argument("--database", default="", help="only this one; its tables are dropped")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clawx-bench-") as directory:
        url = given.log or asyncio.run(record(Path(directory) / "data", given.runs))
        with databases(given.database, Path(directory)) as urls:
            for database in urls:
                print(json.dumps(asyncio.run(measure(url, database))))


if __name__ == "__main__":
    main()
