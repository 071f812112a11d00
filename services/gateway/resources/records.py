"""/records and /runs/ID/trace: the log itself."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from bus.channel import CHANNELS
from bus.errors import RecordTooLarge, Refused
from bus.record import Ask, Envelope, Record
from services.audit.trace import TRACED, build_trace, to_json
from services.gateway.answer import Fresh, written
from services.gateway.caller import EVERYWHERE, Caller, Calling, needs
from services.gateway.desk import sign
from services.gateway.gateway import PREFIX, Behind, Gateway
from services.gateway.rejection import Rejected
from services.gateway.resources.artifacts import body_of
from services.gateway.resources.field import Shown
from services.gateway.resources.runs import RunId, find_run
from services.gateway.stream import read_after, stream
from services.wire import LINE_BYTES_MAX, read_record, record_type

router = APIRouter(prefix=PREFIX, tags=["records"])

TRACED_RECORDS_MAX = 200_000
"""Most records that a trace is looked for in."""


class RecordPublished(Shown):
    """A record that stands on the log."""

    id: str
    position: str


@router.post(
    "/records/{name}",
    status_code=201,
    response_model=RecordPublished,
    **{
        **needs("admin", "records:write"),
        "openapi_extra": {
            "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
            "x-role": "admin",
            "x-scope": "records:write",
        },
    },
)
async def publish_record(
    name: Annotated[str, Path(max_length=200, examples=["RunCancelRequested"])],
    request: Request,
    gateway: Behind,
    caller: Calling,
    id_: Annotated[str, Query(alias="id", max_length=200, description="Makes a repeat harmless.")] = "",
) -> Response:
    """Publish a report as it is, or an ask as the caller's."""
    caller.require("admin", EVERYWHERE)
    record = read_record(record_type(name, gateway.types), await body_of(request, LINE_BYTES_MAX, RecordTooLarge))
    if isinstance(record, Ask):
        record = sign(record, caller, EVERYWHERE)
    record_id = id_ or uuid.uuid4().hex
    at = await gateway.bus.publish(record, record_id=record_id)
    return written(RecordPublished(id=record_id, position=str(at)), 201)


@router.get(
    "/records",
    response_class=StreamingResponse,
    responses={200: {"description": "An envelope a line.", "content": {"application/x-ndjson": {}}}},
    **needs("viewer", "records:read"),
)
async def read_records(
    gateway: Behind,
    caller: Calling,
    channel: Annotated[str, Query(max_length=200, examples=["task"])],
    types: Annotated[str, Query(max_length=4000, description="Names of types, with commas between them.")] = "",
    key: Annotated[str, Query(max_length=200, description="A workspace, or another key.")] = "",
    live: Annotated[bool, Query(description="Go on when the end of the log is reached.")] = True,
    after: Annotated[str, Query(max_length=4000, description="The last positions seen, of a stream that broke.")] = "",
) -> StreamingResponse:
    """Records that count, a line each, from the start of the channel on."""
    wanted = wanted_types(gateway, channel, types)
    envelopes = seen_by(caller, aiter(gateway.bus.subscribe(channel, wanted, key=key, live=live)))
    lines = stream(envelopes, read_after(after), gateway.closing)
    return StreamingResponse(lines, media_type="application/x-ndjson")


def wanted_types(gateway: Gateway, channel: str, names: str) -> list[type[Record]]:
    """The types of a channel with these names, or all; raises Refused and UnknownRecordType."""
    if channel not in CHANNELS:
        raise Refused(f"there is no channel {channel!r}; there are {', '.join(CHANNELS)}")
    known = {name: kind for name, kind in gateway.types.items() if kind.channel in (channel, "")}
    return [record_type(name, known) for name in names.split(",") if name] or list(known.values())


async def seen_by(caller: Caller, envelopes: AsyncIterator[Envelope]) -> AsyncIterator[Envelope]:
    """Those that the caller may see: of other keys than workspaces only who sees everything."""
    async for envelope in envelopes:
        if caller.sees(envelope.key or EVERYWHERE):
            yield envelope


@router.get(
    "/runs/{run_id}/trace",
    response_class=Response,
    responses={200: {"description": "The causal tree.", "content": {"application/json": {}}}},
    **needs("viewer", "trace:read"),
)
async def trace_run(gateway: Behind, caller: Calling, run_id: RunId, _fresh: None = Fresh) -> Response:
    """Show which record of a run led to which, over all channels."""
    workspace = find_run(gateway, caller, run_id).progress.workspace_id
    envelopes: list[Any] = []
    for channel, types in TRACED.items():
        async for envelope in gateway.bus.subscribe(channel, types, live=False):
            if envelope.key == workspace or envelope.key.startswith("pool:"):
                envelopes.append(envelope)
            if len(envelopes) > TRACED_RECORDS_MAX:
                raise Rejected(
                    413, f"more than {TRACED_RECORDS_MAX} records would have to be looked at; use `clawx trace`"
                )
    return Response(to_json(build_trace(run_id, envelopes)), media_type="application/json")
