"""The bus behind a gateway's door, over HTTP."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from bus.channel import Partition, Position
from bus.client import Blobs
from bus.errors import BusError, Unavailable
from bus.record import Envelope, Record
from services.wire import LINE_BYTES_MAX, envelope_from_json, problem_to_error

CALL_S_MAX = 60.0
SILENCE_S_MAX = 30.0
"""A stream that brings not even a blank line for so long is broken."""

REACH_S_MAX = 60.0
"""How long a stream that broke off may take to be taken up again: a busy machine restarts a whole system meanwhile."""

_RETRY_S = 0.25


class HttpBus:
    """The Bus of a running gateway. It finds out that there is none only when it is used."""

    def __init__(self, url: str, key: str, types: Mapping[str, type[Record]]) -> None:
        self._url, self._types = f"{url.rstrip('/')}/api/v1", types
        timeout = aiohttp.ClientTimeout(total=CALL_S_MAX, sock_connect=5)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = aiohttp.ClientSession(headers=headers, timeout=timeout, read_bufsize=LINE_BYTES_MAX)
        self._blobs = HttpBlobs(self)

    @property
    def blobs(self) -> Blobs:
        return self._blobs

    async def publish(self, record: Record, *, record_id: str = "") -> Position:
        """A call that broke off is repeated under the same id, which no Decider acts on twice."""
        path, params = f"/records/{type(record).__name__}", {"id": record_id or uuid.uuid4().hex}
        body, headers = record.model_dump_json().encode(), {"Content-Type": "application/json"}
        try:
            answer = await self.call("POST", path, params=params, data=body, headers=headers)
        except Unavailable:
            answer = await self.call("POST", path, params=params, data=body, headers=headers)
        return Position.parse(json.loads(answer)["position"])

    async def subscribe(
        self, channel: str, wanted: Collection[type[Record]], *, key: str = "", live: bool = True
    ) -> AsyncIterator[Envelope]:
        params = {"channel": channel, "types": ",".join(sorted(kind.__name__ for kind in wanted))}
        params |= {"key": key} if key else {}
        params |= {"live": "true" if live else "false"}
        seen: dict[Partition, int] = {}
        reach = _Reach()
        while True:
            try:
                async for envelope in self._stream({**params, **_after(channel, seen)}, reach):
                    if envelope.at:
                        seen[Partition(channel, envelope.at.number)] = envelope.at.offset
                    yield envelope
                if not live:
                    return
            except Unavailable:
                if reach.is_over():
                    raise
            await asyncio.sleep(_RETRY_S)

    async def _stream(self, params: Mapping[str, str], reach: _Reach) -> AsyncIterator[Envelope]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=SILENCE_S_MAX)
        async with self._asked("GET", "/records", params=params, timeout=timeout) as response:
            reach.note()
            async for line in response.content:
                if not line.strip():
                    continue
                found = json.loads(line) if line.startswith(b'{"problem"') else None
                if found:
                    raise problem_to_error(found["problem"])
                yield envelope_from_json(line, self._types)

    async def retry(self, at: Position) -> Position:
        answer = await self.call("POST", f"/quarantine/{at}/retry")
        return Position.parse(json.loads(answer)["position"])

    async def call(self, method: str, path: str, **options: Any) -> bytes:
        """One call, with its whole answer; raises the bus's own errors."""
        async with self._asked(method, path, **options) as response:
            return await response.read()

    @asynccontextmanager
    async def _asked(self, method: str, path: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._http.request(method, self._url + path, **options) as response:
                if response.status >= 400:
                    raise await _refusal(response)
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"the server {self._url.removesuffix('/api/v1')} does not answer: {error}") from error

    async def close(self) -> None:
        await self._http.close()


class _Reach:
    """How long a gateway that did answer is waited for; one that never did is not."""

    def __init__(self) -> None:
        self._give_up: float | None = 0.0

    def note(self) -> None:
        """It answers; the time counts from when it breaks off."""
        self._give_up = None

    def is_over(self) -> bool:
        """Whether it has been away for too long, now that it does not answer."""
        now = asyncio.get_running_loop().time()
        if self._give_up is None:
            self._give_up = now + REACH_S_MAX
        return now >= self._give_up


class HttpBlobs:
    """Content by digest, behind the door."""

    def __init__(self, bus: HttpBus) -> None:
        self._bus = bus

    async def put(self, content: bytes) -> str:
        answer = await self._bus.call("POST", "/blobs", data=content)
        return str(json.loads(answer)["digest"])

    async def get(self, digest: str) -> bytes:
        return await self._bus.call("GET", f"/blobs/{digest}")


def _after(channel: str, seen: Mapping[Partition, int]) -> dict[str, str]:
    positions = [str(Position(channel, each.number, offset)) for each, offset in sorted(seen.items())]
    return {"after": ",".join(positions)} if positions else {}


async def _refusal(response: aiohttp.ClientResponse) -> BusError:
    try:
        found = await response.json(content_type=None)
    except ValueError:
        found = None
    return problem_to_error(found)
