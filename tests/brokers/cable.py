"""A cable between programs and a server that can be cut: a TCP relay of our own, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from tests.brokers.loopback import HOST

CHUNK_BYTES = 65_536


class Cable:
    """Relays what comes to `port` to another port. While it is cut nothing passes and nobody is told; afterwards all
    goes on where it was, as packets do that are sent again."""

    def __init__(self) -> None:
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._whole = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cable", daemon=True)

    def lay(self, port: int, to: int) -> None:
        """Begin to relay."""
        self.port = port
        self._whole.set()
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(to), self._loop).result()

    async def _serve(self, to: int) -> None:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._start(self._relay(reader, writer, to))

        await asyncio.start_server(accept, HOST, self.port)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: int) -> None:
        await self._whole.wait()
        try:
            far_reader, far_writer = await asyncio.open_connection(HOST, to)
        except OSError:
            writer.close()
            return
        self._start(self._pump(reader, far_writer))
        self._start(self._pump(far_reader, writer))

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(CHUNK_BYTES):
                await self._whole.wait()
                target.write(data)
                await target.drain()
        except OSError:
            pass  # one end is gone; the other is told below
        finally:
            target.close()

    def cut(self) -> None:
        """Let nothing through from now on."""
        self._call(self._whole.clear)

    def mend(self) -> None:
        """Let all through that waits, and what follows."""
        self._call(self._whole.set)

    def _call(self, act: Callable[[], object]) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (act(), done.set()))
        done.wait()

    def close(self) -> None:
        """End it and all that goes through it."""

        async def end() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(end(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()


@contextmanager
def cable() -> Iterator[Cable]:
    """A cable that is not laid yet, and gone afterwards."""
    found = Cable()
    try:
        yield found
    finally:
        found.close()
