"""The whole system in this process, with a gateway in front of it, and calls to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from services.gateway.key import keep_key
from services.gateway.server import open_gateway
from services.settings import Settings
from services.system import System, hosted

FLOW = """
id: greet
stages:
  - id: say
    profession: qa_engineer
    agent: script
    input: [name]
    output: [greeting]
    with: {script: [{outputs: {greeting: "hello"}}]}
"""

WAITING = """
id: waiting
stages:
  - id: gate
    kind: wait
    wait: {signal: go}
"""

ANSWERING = """
id: answering
stages:
  - id: answer
    profession: qa_engineer
    agent: script
    with: {script: [{expect: {type: request, within: 60s, reply: {answer: 42}}, delay: 1s}]}
"""

ASKING = """
id: asking
stages:
  - id: judge
    kind: task
    profession: qa_engineer
    agent: human
    output: [verdict]
  - id: approve
    kind: review
    review: {by: [role:lead], quorum: 1}
"""


OPEN = """
id: open
stages:
  - {id: words, agent: script, instructions: Write the user manual of the release, next: [doubt]}
  - {id: doubt, agent: script, instructions: look into the thing}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a call was answered with."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A system that is called over HTTP."""

    url: str
    key: str
    system: System
    http: aiohttp.ClientSession

    async def call(self, method: str, path: str, body: Any = None, key: str | None = None, **headers: str) -> Reply:
        """One call; underscores in the names of headers stand for hyphens."""
        sent = {"Authorization": f"Bearer {self.key if key is None else key}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        url = self.url + ("" if path.startswith("/.") else "/api/v1") + path
        async with self.http.request(method, url, json=body, headers=sent) as response:
            is_json = "json" in response.content_type and response.content_type != "application/x-ndjson"
            found = await response.json(content_type=None) if is_json else await response.read()
            return Reply(status=response.status, headers=response.headers, body=found)


@asynccontextmanager
async def served(directory: Path, *, node: bool = True) -> AsyncIterator[Served]:
    """A system of its own, below this directory, until left."""
    settings = Settings(data=directory, partitions=2, node="here", port=0)
    key = keep_key(directory)
    async with (
        hosted(settings, node=node) as system,
        aiohttp.ClientSession() as http,
        open_gateway(system.bus, system.codec, settings, key=key) as url,
    ):
        await system.decides()
        yield Served(url=url, key=key, system=system, http=http)
