"""The way out of a sandbox: an HTTP proxy on a socket in the instance's directory, with a list of hosts.

Workers that have no network of their own reach a host by asking this proxy, and only those that the list names; each
refusal stands in the log with its reason. It looks at names and ports, and passes on bytes.
"""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from services.factory.background import Background
from services.factory.worker.forwarding import SOCKET, relay

logger = logging.getLogger(__name__)

CONNECTIONS_MAX = 256
"""Open at once for one worker."""

HEAD_BYTES_MAX = 32 * 1024
HEAD_S = 30.0
CONNECT_S = 15.0

T = TypeVar("T")

_KEPT: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
"""The socket goes with the instance's directory, and its path leads through a descriptor that is closed by then."""

_PORT = 80
_NOT_PASSED_ON = (b"proxy-", b"connection:", b"keep-alive:")


class Refusal(Exception):
    """What is asked for cannot be had: an HTTP status, and why in a sentence."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Target(NamedTuple):
    """Whom a request is for, and what he is sent first; nothing where it is a tunnel."""

    host: str
    port: int
    head: bytes


class EgressProxy:
    """Of one worker."""

    def __init__(self, worker_id: str, hosts: Iterable[str], background: Background) -> None:
        self._worker_id, self._background = worker_id, background
        self._hosts = frozenset(host.lower() for host in hosts)
        self._server: asyncio.Server | None = None
        self._open = 0

    async def start(self, directory: Path) -> None:
        """Listen in this directory, which nobody but the worker and the node can enter. Raises OSError."""
        end = _bind(directory)
        self._server = await asyncio.start_unix_server(self._take, sock=end, limit=HEAD_BYTES_MAX, **_KEPT)

    def close(self) -> None:
        """Let nobody in any more; connections end with the worker that has their other ends."""
        if self._server:
            self._server.close()

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._background.start(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            await self._pass_on(reader, writer)
        except Refusal as refusal:
            logger.warning("worker %s: %s", self._worker_id, refusal.reason)
            body = refusal.reason.encode(errors="replace") + b"\n"
            head = f"HTTP/1.1 {refusal.status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
            with suppress(ConnectionError):
                writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            logger.debug("worker %s went away from its proxy: %s", self._worker_id, error)
        finally:
            self._open -= 1
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open > CONNECTIONS_MAX:
            raise Refusal("503 Service Unavailable", f"more than {CONNECTIONS_MAX} connections at once")
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_S)
        except asyncio.LimitOverrunError as error:
            raise Refusal("431 Request Header Fields Too Large", "the head of the request is too long") from error
        target = read_target(head)
        if not is_listed(target.host, target.port, self._hosts):
            listed = ", ".join(sorted(self._hosts)) or "none"
            reason = f"{target.host}:{target.port} is none of the hosts that it may reach: {listed}"
            raise Refusal("403 Forbidden", reason)
        far_reader, far_writer = await _connect(target)
        try:
            if target.head:
                far_writer.write(target.head)
            else:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await relay((reader, far_writer), (far_reader, writer))
        finally:
            far_writer.close()


def _bind(directory: Path) -> socket.socket:
    """A socket in the directory, however long the path to it is."""
    place = directory / SOCKET
    place.unlink(missing_ok=True)
    end = socket.socket(socket.AF_UNIX)
    above = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        end.bind(f"/proc/self/fd/{above}/{SOCKET}")
        place.chmod(0o666)
    except OSError:
        end.close()
        raise
    finally:
        os.close(above)
    return end


async def _connect(target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await asyncio.wait_for(asyncio.open_connection(target.host, target.port), CONNECT_S)
    except (OSError, TimeoutError, UnicodeError) as error:
        words = str(error) or "it does not answer"
        raise Refusal("502 Bad Gateway", f"{target.host}:{target.port} cannot be reached: {words}") from error


def read_target(head: bytes) -> Target:
    """Whom the head of a request names. Raises Refusal."""
    line, _, rest = head.partition(b"\r\n")
    try:
        method, place, version = line.decode("ascii").split(" ")
    except ValueError as error:
        raise Refusal("400 Bad Request", "this is no request to a proxy") from error
    if not version.startswith("HTTP/1."):
        raise Refusal("505 HTTP Version Not Supported", f"the proxy speaks HTTP/1.1, not {version[:20]}")
    try:
        if method == "CONNECT":
            parts = urlsplit(f"//{place}")
            host, port = parts.hostname, parts.port
            return Target(_require(host, place), _require(port, place), b"")
        parts = urlsplit(place)
        host, port = parts.hostname, parts.port or _PORT
    except ValueError as error:
        raise Refusal("400 Bad Request", f"{place[:200]} names no host and port") from error
    if parts.scheme != "http":
        raise Refusal("400 Bad Request", f"{place[:200]} is no address that a proxy passes on; others need CONNECT")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [each for each in rest.split(b"\r\n") if each and not each.lower().startswith(_NOT_PASSED_ON)]
    passed = b"\r\n".join([f"{method} {path} {version}".encode(), *lines, b"Connection: close", b"", b""])
    return Target(_require(host, place), port, passed)


def _require(found: T | None, place: str) -> T:
    if found is None:
        raise Refusal("400 Bad Request", f"{place[:200]} names no host and port")
    return found


def is_listed(host: str, port: int, hosts: Collection[str]) -> bool:
    """Whether a list has this host, or with `*.` in front a name that it is below."""
    name = host.lower().rstrip(".")
    above = name.split(".")
    names = [name, *("*." + ".".join(above[start:]) for start in range(1, len(above)))]
    return any(f"{each}:{port}" in hosts for each in names)
