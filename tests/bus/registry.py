"""A small schema registry that follows the published REST API, with compatibility checks by Avro's own library."""

import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import avro.schema
from aiohttp import encode_basic_auth, web
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
LEVELS = ("NONE", "BACKWARD", "FORWARD", "FULL", "BACKWARD_TRANSITIVE", "FORWARD_TRANSITIVE", "FULL_TRANSITIVE")

Handler = Callable[[web.Request], Coroutine[Any, Any, web.StreamResponse]]


class Wrong(Exception):
    """An answer that says what is wrong, with the API's own code."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def can_read(reader: str, writer: str) -> bool:
    """What Avro's own library says."""
    checked = ReaderWriterCompatibilityChecker().get_compatibility(avro.schema.parse(reader), avro.schema.parse(writer))
    return checked.compatibility is SchemaCompatibilityType.compatible


def complaints(new: str, older: list[str], level: str) -> list[str]:
    """Why a schema may not follow these, the newest last."""
    against = older if level.endswith("TRANSITIVE") else older[-1:]
    backward, forward = "BACKWARD" in level or "FULL" in level, "FORWARD" in level or "FULL" in level
    found = ["the new schema cannot read an older one" for old in against if backward and not can_read(new, old)]
    return found + ["an older schema cannot read the new one" for old in against if forward and not can_read(old, new)]


@dataclass(kw_only=True)
class Registry:
    """Its memory, open to tests: versions of each subject, schemas by id, levels, and every call that was made."""

    user: tuple[str, str] | None = None  # name and password
    schemas: list[str] = field(default_factory=list)  # the id is the place, from 1
    subjects: dict[str, list[int]] = field(default_factory=dict)
    levels: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    url: str = ""
    breakdown: Handler | None = None  # answers instead, while it is set

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Listen on the loopback address and give the URL."""
        app = web.Application(middlewares=[self._guard])
        app.add_routes(
            [
                web.get("/subjects", self._list),
                web.post("/subjects/{subject}", self._look_up),
                web.get("/subjects/{subject}/versions", self._versions),
                web.post("/subjects/{subject}/versions", self._register),
                web.get("/subjects/{subject}/versions/{version}", self._version),
                web.get("/schemas/ids/{id}", self._schema),
                web.get("/config/{subject}", self._level),
                web.put("/config/{subject}", self._set_level),
                web.post("/compatibility/subjects/{subject}/versions/latest", self._compatible),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            yield self.url
        finally:
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.calls.append(f"{request.method} {request.path}")
        try:
            if self.user and request.headers.get("Authorization") != encode_basic_auth(*self.user):
                raise Wrong(401, 401, "Unauthorized")
            if request.method != "GET" and not request.content_type.endswith("json"):
                raise Wrong(415, 415, "HTTP 415 Unsupported Media Type")
            return await (self.breakdown or handler)(request)
        except Wrong as wrong:
            return _answer({"error_code": wrong.code, "message": str(wrong)}, wrong.status)

    def register(self, subject: str, text: str) -> int:
        """As a call would; the same text has the same id under every subject."""
        self._parse(text)
        versions = self.subjects.get(subject, [])
        known = self.schemas.index(text) + 1 if text in self.schemas else 0
        if known in versions:
            return known
        older = [self.schemas[each - 1] for each in versions]
        if found := complaints(text, older, self.levels.get(subject, "BACKWARD")):
            raise Wrong(409, 409, f"Schema being registered is incompatible with an earlier schema; {found}")
        if not known:
            self.schemas.append(text)
            known = len(self.schemas)
        self.subjects.setdefault(subject, []).append(known)
        return known

    @staticmethod
    def _parse(text: str) -> None:
        try:
            avro.schema.parse(text)
        except avro.schema.SchemaParseException as error:
            raise Wrong(422, 42201, f"Invalid schema: {error}") from error

    def _of(self, request: web.Request) -> list[int]:
        subject = request.match_info["subject"]
        if subject not in self.subjects:
            raise Wrong(404, 40401, f"Subject '{subject}' not found.")
        return self.subjects[subject]

    async def _list(self, request: web.Request) -> web.Response:
        return _answer(sorted(self.subjects))

    async def _versions(self, request: web.Request) -> web.Response:
        return _answer(list(range(1, len(self._of(request)) + 1)))

    async def _version(self, request: web.Request) -> web.Response:
        versions, asked = self._of(request), request.match_info["version"]
        number = len(versions) if asked == "latest" else int(asked)
        if not 0 < number <= len(versions):
            raise Wrong(404, 40402, f"Version {number} not found.")
        return _answer(self._described(request.match_info["subject"], number))

    def _described(self, subject: str, number: int) -> dict[str, Any]:
        schema_id = self.subjects[subject][number - 1]
        return {"subject": subject, "id": schema_id, "version": number, "schema": self.schemas[schema_id - 1]}

    async def _look_up(self, request: web.Request) -> web.Response:
        versions, text = self._of(request), (await request.json())["schema"]
        for number, schema_id in enumerate(versions, start=1):
            if json.loads(self.schemas[schema_id - 1]) == json.loads(text):
                return _answer(self._described(request.match_info["subject"], number))
        raise Wrong(404, 40403, "Schema not found")

    async def _register(self, request: web.Request) -> web.Response:
        return _answer({"id": self.register(request.match_info["subject"], (await request.json())["schema"])})

    async def _schema(self, request: web.Request) -> web.Response:
        schema_id = int(request.match_info["id"])
        if not 0 < schema_id <= len(self.schemas):
            raise Wrong(404, 40403, f"Schema {schema_id} not found")
        return _answer({"schema": self.schemas[schema_id - 1]})

    async def _level(self, request: web.Request) -> web.Response:
        subject = request.match_info["subject"]
        if subject not in self.levels:
            raise Wrong(404, 40408, f"Subject '{subject}' does not have subject-level compatibility configured")
        return _answer({"compatibilityLevel": self.levels[subject]})

    async def _set_level(self, request: web.Request) -> web.Response:
        level = (await request.json())["compatibility"]
        if level not in LEVELS:
            raise Wrong(422, 42203, f"Invalid compatibility level {level}")
        self.levels[request.match_info["subject"]] = level
        return _answer({"compatibility": level})

    async def _compatible(self, request: web.Request) -> web.Response:
        versions, text = self._of(request), (await request.json())["schema"]
        level = self.levels.get(request.match_info["subject"], "BACKWARD")
        found = complaints(text, [self.schemas[each - 1] for each in versions], level)
        return _answer({"is_compatible": not found, "messages": found})


def _answer(content: Any, status: int = 200) -> web.Response:
    return web.json_response(content, status=status, content_type=MEDIA_TYPE)
