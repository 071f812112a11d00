"""The inside of the way out of a sandbox: a port on the loopback whose bytes go to the socket of the node's proxy."""

import asyncio
from contextlib import suppress

SOCKET = "egress.sock"
"""In the instance's directory, which is where a worker is."""

_CHUNK_BYTES = 64 * 1024

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def start_forwarding() -> str:
    """The address by which programs reach the proxy, for as long as the worker lives."""
    server = await asyncio.start_server(_forward, "127.0.0.1", 0)
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        far_reader, far_writer = await asyncio.open_unix_connection(SOCKET)
        try:
            await relay((reader, far_writer), (far_reader, writer))
        finally:
            far_writer.close()
    writer.close()


async def relay(there: Stream, back: Stream) -> None:
    """Pass on bytes both ways until both have ended."""
    await asyncio.gather(_copy(*there), _copy(*back))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        if writer.can_write_eof():
            writer.write_eof()
