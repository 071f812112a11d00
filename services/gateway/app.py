"""The routes of the gateway."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException

from bus.channel import CHANNELS
from bus.client import Bus
from bus.errors import (
    BlobMissing,
    BlobTooLarge,
    BusError,
    LogFull,
    RecordTooLarge,
    Refused,
    Retryable,
    UnknownRecordType,
)
from bus.record import Record
from services.gateway.guard import KeyGuard
from services.gateway.stream import read_after, stream
from services.wire import LINE_BYTES_MAX, error_to_problem, problem, read_record, record_type

ROOT = "/api/v1"
HEALTH = f"{ROOT}/health"
BLOB_BYTES_MAX = 64 * 1024 * 1024
"""Largest blob that comes through the door."""

_STATUS: tuple[tuple[type[BusError], int], ...] = (
    (UnknownRecordType, 404),
    (BlobMissing, 404),
    (RecordTooLarge, 413),
    (BlobTooLarge, 413),
    (LogFull, 507),
    (Retryable, 503),
    (Refused, 422),
)


def make_app(bus: Bus, types: Mapping[str, type[Record]], key: str, closing: asyncio.Event) -> FastAPI:
    """The application over a bus. Streams end when `closing` is set."""
    app = FastAPI(title="OpenClaw-X", openapi_url=None)
    app.add_middleware(KeyGuard, key=key, open_paths={HEALTH})
    _explain_failures(app)
    _serve_records(app, bus, types, closing)
    _serve_blobs(app, bus)

    @app.get(HEALTH)
    async def health() -> dict[str, str]:
        """Whether the door is open."""
        return {"status": "ok"}

    return app


def _serve_records(app: FastAPI, bus: Bus, types: Mapping[str, type[Record]], closing: asyncio.Event) -> None:
    @app.post(f"{ROOT}/records/{{name}}", status_code=201)
    async def publish(name: str, request: Request, id: str = "") -> dict[str, str]:  # noqa: A002 — as in the URL
        """Publish an ask or a report."""
        record = read_record(record_type(name, types), await _body(request, LINE_BYTES_MAX, RecordTooLarge))
        record_id = id or uuid.uuid4().hex
        return {"id": record_id, "position": str(await bus.publish(record, record_id=record_id))}

    @app.get(f"{ROOT}/records")
    async def records(
        channel: str,
        types_: Annotated[str, Query(alias="types")] = "",
        key: str = "",
        live: bool = True,
        after: str = "",
    ) -> StreamingResponse:
        """Records that count, a line each; `after` takes up a stream that broke."""
        if channel not in CHANNELS:
            raise Refused(f"there is no channel {channel!r}; there are {', '.join(CHANNELS)}")
        known = {name: kind for name, kind in types.items() if kind.channel in (channel, "")}
        wanted = [record_type(name, known) for name in types_.split(",") if name] or list(known.values())
        lines = stream(aiter(bus.subscribe(channel, wanted, key=key, live=live)), read_after(after), closing)
        return StreamingResponse(lines, media_type="application/x-ndjson")


def _serve_blobs(app: FastAPI, bus: Bus) -> None:
    @app.post(f"{ROOT}/blobs", status_code=201)
    async def put_blob(request: Request) -> dict[str, str]:
        """Keep a content."""
        return {"digest": await bus.blobs.put(await _body(request, BLOB_BYTES_MAX, BlobTooLarge))}

    @app.get(f"{ROOT}/blobs/{{digest}}")
    async def get_blob(digest: str) -> Response:
        """A content by its digest; never shown as what it says it is, since anybody may have put it here."""
        content = await bus.blobs.get(digest)
        return Response(content, media_type="application/octet-stream", headers={"X-Content-Type-Options": "nosniff"})


async def _body(request: Request, bytes_max: int, error: type[BusError]) -> bytes:
    """The body, given up as soon as it is over the limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise error(f"the body is over the limit of {bytes_max} bytes")
    return bytes(body)


def _explain_failures(app: FastAPI) -> None:
    """Every refusal is a problem as RFC 9457 has it."""

    @app.exception_handler(BusError)
    async def of_the_bus(request: Request, error: BusError) -> JSONResponse:
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
        return _answer(status, error_to_problem(error, status))

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> JSONResponse:
        return _answer(error.status_code, problem(error.status_code, str(error.detail)))

    @app.exception_handler(RequestValidationError)
    async def of_parameters(request: Request, error: RequestValidationError) -> JSONResponse:
        said = "; ".join(f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors())
        return _answer(422, problem(422, said))


def _answer(status: int, content: dict[str, Any]) -> JSONResponse:
    return JSONResponse(content, status, media_type="application/problem+json")
