"""DBOS on SQLite: one workflow of three no-op steps."""

import asyncio
import logging
import tempfile

import chain
from dbos import DBOS


@DBOS.step()
async def step(number: int) -> int:
    return number


@DBOS.workflow()
async def three_steps(number: int) -> int:
    for _ in range(chain.STEPS):
        number = await step(number)
    return number


async def main() -> None:
    given = chain.arguments()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as directory:
        DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{directory}/dbos.sqlite"})
        DBOS.launch()
        await chain.measure(three_steps, given.runs, given.concurrency)
        DBOS.destroy()


asyncio.run(main())
