"""A node in a process of its own, to be killed: `node_program DIRECTORY MARK` holds an instance with work, then waits.

Prints a line of JSON once both of its attempts are under way.
"""

import asyncio
import json
import sys
from pathlib import Path

from services.records.node import WorkerStarted
from services.records.telemetry import WorkerOutput
from tests.services.factory.world import World, python

STAY = """
import subprocess, sys, time
subprocess.Popen(['sleep', sys.argv[1]], start_new_session=True)
open('outputs/out', 'w').write('so far')
print('one'); print('two', flush=True)
print('there', file=sys.stderr, flush=True)
time.sleep(600)
"""


async def main(directory: Path, mark: str) -> None:
    async with World.open(directory) as world, world.node() as node:
        working = await world.start("i1", agent="command")
        await world.assign(working, attempt_id="open", parameters=python(STAY, mark))
        await world.first(WorkerOutput, instance_id="i1", line="there")
        inline = await world.start("i2", driver="inline")
        await world.assign(inline, attempt_id="delayed", parameters={"script": [{"delay": "10m"}]})
        done = await world.assign(inline, attempt_id="done")
        await world.end_of(done)
        pids = [started.pid for started in world.all(WorkerStarted)]
        sys.stdout.write(json.dumps({"session": node.session, "pids": pids}) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
