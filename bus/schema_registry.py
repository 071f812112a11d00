"""A schema registry, by the REST API that Confluent, Karapace and Apicurio share."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp

from bus.avro import Schema
from bus.errors import BusError, NamespaceMismatch, Refused, Unavailable

COMPATIBILITY = "FULL_TRANSITIVE"
"""What each of our subjects insists on: every version reads and is read by every other."""

CALLS_MAX = 16
"""Calls under way at once."""

ANSWER_BYTES_MAX = 1024 * 1024

_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
_NOT_FOUND = 404
_SUBJECT_NOT_FOUND, _SCHEMA_NOT_FOUND = 40401, 40403


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """How to reach a registry."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    """Certificates to trust; the system's when not given."""
    answer_ms_max: int = 5_000
    """After this long without an answer the registry is unavailable."""

    def __post_init__(self) -> None:
        split = urlsplit(self.url)
        if "@" in split.netloc:
            raise Refused("the URL of the schema registry has a name in it; give it, and the password, as settings")
        if ":" in self.username:
            raise Refused("the name of a user of the schema registry has no colon in it")
        if split.scheme not in ("http", "https") or not split.hostname or split.query or split.fragment:
            raise Refused(f"{self.url!r} names no schema registry; right would be http://HOST:PORT or https://HOST")


def subject(topic: str, schema: Schema) -> str:
    """The subject of a record type on a topic, as the strategy TopicRecordName has it."""
    return f"{topic}-{schema['namespace']}.{schema['name']}"


class SchemaRegistry:
    """The calls that we make. Each raises Unavailable or Refused in one sentence that names the registry."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        self._url = settings.url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._room = asyncio.Semaphore(CALLS_MAX)

    async def register_all(self, schemas: Mapping[str, Schema]) -> dict[str, int]:
        """Register each schema under its subject, unless it is; ids by subject."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {name: group.create_task(self.register(name, schema)) for name, schema in schemas.items()}
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        return {name: task.result() for name, task in tasks.items()}

    async def register(self, name: str, schema: Schema) -> int:
        """The id of a schema under a subject, which insists on FULL_TRANSITIVE before it has its first version."""
        body = {"schema": json.dumps(schema), "schemaType": "AVRO"}
        path = f"/subjects/{quote(name, safe='')}"
        known = await self._call("POST", path, body, absent=(_SUBJECT_NOT_FOUND, _SCHEMA_NOT_FOUND))
        if known is None:
            await self._call("PUT", f"/config/{quote(name, safe='')}", {"compatibility": COMPATIBILITY})
            known = await self._call("POST", f"{path}/versions", body)
        return self._integer(known, "id")

    async def schema(self, schema_id: int) -> Schema | None:
        """The schema with this id; None if the registry has none, or one of another language than Avro."""
        found = await self._call("GET", f"/schemas/ids/{schema_id}", absent=(_SCHEMA_NOT_FOUND,))
        if found is None or found.get("schemaType", "AVRO") != "AVRO":
            return None
        try:
            return json.loads(found["schema"])
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise self._unfit(f"schema {schema_id} is no JSON") from error

    async def schemas(self, ids: Iterable[int]) -> dict[int, Schema | None]:
        """Several schemas by id."""
        wanted = sorted(set(ids))
        return dict(zip(wanted, await asyncio.gather(*map(self.schema, wanted)), strict=True))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, absent: tuple[int, ...] = ()
    ) -> dict[str, Any] | None:
        """The answer; None if it is one of these error codes."""
        session = self._open()
        try:
            async with self._room, session.request(method, self._url + path, json=body) as response:
                status, answer = response.status, b""
                async for part in response.content.iter_any():
                    if len(answer := answer + part) > ANSWER_BYTES_MAX:
                        raise self._unfit(f"it answers {path} with over {ANSWER_BYTES_MAX} bytes")
        except TimeoutError as error:
            raise self._silent(f"nothing within {self._settings.answer_ms_max} ms") from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._silent(str(error) or type(error).__name__) from error
        return self._judge(path, status, answer, absent)

    def _judge(self, path: str, status: int, answer: bytes, absent: tuple[int, ...]) -> dict[str, Any] | None:
        try:
            found = json.loads(answer)
        except (ValueError, RecursionError):
            found = None
        said = found if isinstance(found, dict) else {}
        if status < 300 and said:
            return said
        if status == _NOT_FOUND and said.get("error_code") in absent:
            return None
        raise self._refusal(path, status, str(said.get("message", ""))[:500])

    def _refusal(self, path: str, status: int, message: str) -> BusError:
        if status in (401, 403):
            who = f"the user {self._settings.username!r}" if self._settings.username else "who gives no name"
            return Refused(f"the schema registry at {self._url} refuses {who}: HTTP {status} {message}".rstrip())
        if status == 409:
            return NamespaceMismatch(
                f"the schema registry at {self._url} has other schemas under {path.split('/')[2]}, which are not "
                f"{COMPATIBILITY} with this version's: {message}"
            )
        if 400 <= status < 500:
            return Refused(f"the schema registry at {self._url} refuses {path}: HTTP {status} {message}".rstrip())
        return self._silent(f"HTTP {status} {message}".rstrip())

    def _silent(self, reason: str) -> Unavailable:
        return Unavailable(f"the schema registry at {self._url} does not answer: {' '.join(reason.split())}")

    def _unfit(self, reason: str) -> Refused:
        return Refused(f"what answers at {self._url} is no schema registry: {reason}")

    def _integer(self, found: Mapping[str, Any] | None, name: str) -> int:
        value = (found or {}).get(name)
        if not isinstance(value, int) or not 0 <= value < 2**31:
            raise self._unfit(f"{name} is {value!r}")
        return value

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            settings = self._settings
            headers = {"Content-Type": _MEDIA_TYPE, "Accept": f"{_MEDIA_TYPE}, application/json"}
            if settings.username:
                headers["Authorization"] = aiohttp.encode_basic_auth(settings.username, settings.password)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls(), limit=CALLS_MAX),
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=settings.answer_ms_max / 1000),
            )
        return self._session

    def _tls(self) -> ssl.SSLContext | bool:
        if not self._settings.ca_file:
            return True
        try:
            return ssl.create_default_context(cafile=self._settings.ca_file)
        except OSError as error:
            raise Refused(f"the certificates in {self._settings.ca_file} cannot be used: {error}") from error
