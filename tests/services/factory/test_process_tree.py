"""Trees of processes are found as they are and ended whatever they do."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.factory.worker.process_tree import find_descendants, kill_all, read_process, read_processes
from tests.eventually import eventually
from tests.services.factory.process_table import find_zombies

RESPAWN = """
import os, signal, sys
def watch(name):
    while True:
        if (child := os.fork()) == 0:
            os.setsid()
            print(name, os.getpid(), flush=True)
            watch(name + 'x') if len(name) < 4 else signal.pause()
        os.waitpid(child, 0)
watch('x')
"""
"""A chain of processes in sessions of their own, each of which starts its child anew when it dies."""


@asynccontextmanager
async def running(program: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-I", "-c", program, stdout=asyncio.subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_chain_that_starts_itself_anew_is_ended() -> None:
    async with running(RESPAWN) as process:

        def below() -> set[int]:
            return find_descendants([process.pid], read_processes())

        chain = await eventually(lambda: below() if len(below()) == 4 else set())
        left = kill_all(
            lambda table: {process.pid, *chain} | find_descendants([process.pid, *chain], table),
            reap=lambda: None,
            within_s=5,
        )
        assert left == set()
        assert all(read_process(pid) is None or read_process(pid).state in "ZX" for pid in chain)  # type: ignore[union-attr]


async def test_a_process_is_read_whatever_its_name() -> None:
    name = "a) (b 1 2"
    async with running(f"open('/proc/self/comm', 'w').write({name!r}); print(flush=True); input()") as process:
        assert process.stdout
        await process.stdout.readline()
        found = read_process(process.pid)
        assert found
        assert (found.pid, found.parent, found.session) == (process.pid, os.getpid(), os.getsid(0))


def test_there_is_no_process_where_there_is_none() -> None:
    assert read_process(2**22 + 1) is None


@pytest.fixture(autouse=True)
async def nothing_left() -> AsyncIterator[None]:
    yield
    assert find_zombies() == []
