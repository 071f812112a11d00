"""One suite for all drivers: whatever a worker is said to be kept from, a program inside it tries, and fails."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.factory.drivers.promises import PROMISES, find_open
from tests.services.factory.drivers import probes
from tests.services.factory.drivers.place import ABSENT, WORKING, Place, place

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=WORKING)
async def tried(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with place(request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


@pytest.mark.parametrize("promise", PROMISES)
async def test_what_is_promised_holds(tried: Place, promise: str) -> None:
    found = await tried.try_probe(promise)
    sys.stdout.write(f"{tried.driver}: {promise}: {found}\n")
    assert found["held"] or promise in find_open(tried.limits), f"{promise}: {found['seen']}"


HARMLESS_TO_ANYBODY = {
    "find a terminal",
    "find descriptors that are not its own",
    "find more in its environment than it needs",
    "replace its inputs",
    "write the memory of its own worker",
    "use the kernel's keys",  # a container may refuse it
    "load programs into the kernel",  # so may a locked kernel
    "write a file without end",
    "write a file with holes without end",
    "read the home of the node's user",  # there need be no file in it
    "leave its control groups",  # there may be none
    "leave the image of a crash",  # the machine may allow none
    "open files without end",
    "raise its own limits",
    "use more of the processor than it has",  # a busy machine gives nobody as much
    "find a way to other machines",
}
"""What need not be there to be had outside, so that its probe proves nothing there."""


FOR_THE_SUPERUSER = {
    "read passwords of the machine",
    "write files of the system",
    "link to a file of the system",
    "read the memory of another process",  # the machine may let only the superuser
    "trace another process",
    "lower the priority number of a process",
    "open a raw socket",
    "open a packet socket",
    "mount",
    "make a user namespace",
    "change its root",
    "become the superuser",
    "gain rights from a program's file",
    "hold any capability",
    "write settings of the kernel",
    "make a device",
    "rename the machine",
}
"""What nobody else gets outside either."""


async def test_without_a_driver_the_probes_get_what_they_reach_for(tried: Place, tmp_path: Path) -> None:
    """Else a probe that is broken would pass for one that is held back."""
    given = json.dumps(tried.given)
    out_of_reach = FOR_THE_SUPERUSER if os.geteuid() != 0 else set()
    for promise in sorted(set(PROMISES) - HARMLESS_TO_ANYBODY - out_of_reach):
        command = [sys.executable, "-I", probes.__file__, promise, given]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=30, check=True)  # noqa: ASYNC221
        found = json.loads(done.stdout)["result"]
        assert not found["held"], f"{promise}: {found['seen']}"


async def test_each_promise_has_a_probe() -> None:
    assert list(probes.PROBES) == list(PROMISES)
    assert len(PROMISES) >= 30


async def test_there_is_always_a_driver_and_the_absent_ones_say_why() -> None:
    assert "process" in WORKING
    assert all(ABSENT.values())
