"""A node in a process of its own that is killed when it writes the n-th line of its journal: `doomed_node DIRECTORY N`.

Meanwhile an instance is started, given work that stays and work that ends, and stopped.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from services.factory.journal import Journal
from services.records.telemetry import WorkerOutput
from tests.services.factory.node_program import STAY
from tests.services.factory.world import World, python


def die_at(count: int) -> None:
    """Let the journal be the end of this process."""
    write = Journal.write
    left = count

    def counted(self: Journal, *arguments: Any, **fields: Any) -> None:
        nonlocal left
        write(self, *arguments, **fields)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    Journal.write = counted  # type: ignore[method-assign]


async def main(directory: Path, count: int) -> None:
    async with World.open(directory) as world, world.node():
        die_at(count)
        order = await world.start("i1", agent="command")
        await world.assign(order, attempt_id="stays", parameters=python(STAY, "60.6"))
        await world.first(WorkerOutput, instance_id="i1", line="there")
        await world.end_of(await world.assign(order, attempt_id="ends", agent="script"))
        await world.stop(order)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
