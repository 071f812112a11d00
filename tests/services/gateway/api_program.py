"""A system with its gateway in a process of its own, for those who call it from outside: prints its URL and key, and
ends with its standard input."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.services.gateway.served import served


async def main(directory: Path) -> None:
    """Serve until nobody holds the other end of standard input."""
    async with served(directory, node=False) as api:
        sys.stdout.write(json.dumps({"url": api.url, "key": api.key}) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
