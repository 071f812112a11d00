"""A program that appends to a SQLite log until it is killed, and says what was acknowledged.

Its batches are of all lengths, pipelined, from two appenders; each record names its batch and how long that is.
"""

import asyncio
import sys

from bus.backends.sqlite import SqliteLog
from bus.channel import Partition
from bus.log import Appender, Raw

PARTITIONS = 2
PIPELINED = 20


def batch(name: str, number: int) -> list[Raw]:
    length = 1 + number * 7 % 40
    return [
        Raw(name.encode(), f"{number} {index} {length}".encode() + b"." * 300, (), number) for index in range(length)
    ]


async def append_for_ever(appender: Appender, name: str) -> None:
    number = 0
    while True:
        numbers = range(number, number + PIPELINED)
        futures = [appender.append(Partition("task", each % PARTITIONS), batch(name, each)) for each in numbers]
        for each, future in zip(numbers, futures, strict=True):
            sys.stdout.write(f"{name} {each} {await future}\n")
            sys.stdout.flush()
        number += PIPELINED


async def main() -> None:
    log = await SqliteLog.open(sys.argv[1], partitions=PARTITIONS)
    await asyncio.gather(append_for_ever(await log.appender(), "a"), append_for_ever(await log.appender(), "b"))


if __name__ == "__main__":
    asyncio.run(main())
