"""/streams: records as they come, as server-sent events or over a WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, suppress
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Query, WebSocket
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from bus.errors import BusError, Refused
from bus.record import Envelope, Record
from services.gateway.caller import Caller, Calling, needs
from services.gateway.gateway import PREFIX, Behind, Gateway
from services.gateway.guard import SUBPROTOCOL
from services.gateway.rejection import Rejected
from services.gateway.resources.field import Name
from services.gateway.resources.instances import find_instance
from services.gateway.resources.records import wanted_types
from services.gateway.stream import read_after
from services.gateway.subscription import Subscription, Wish
from services.wire import problem

router = APIRouter(prefix=PREFIX, tags=["streams"])

CHANNELS_MAX = 5
TRY_AGAIN, POLICY = 1013, 1008
"""Codes with which a WebSocket is closed."""

Channel = Annotated[
    str, Query(max_length=100, description="A channel, or several with commas between them.", examples=["task"])
]
Types = Annotated[str, Query(max_length=4000, description="Names of types, with commas between them.")]
Key = Annotated[str, Query(max_length=200, description="A workspace, or another key.")]
After = Annotated[str, Query(max_length=4000, description="The last positions seen, with commas between them.")]
Since = Annotated[
    Literal["start", "now"], Query(description="Where to begin in partitions of which no position is given.")
]


def _wish(gateway: Gateway, channel: str, types: str, key: str, after: str, since: str) -> Wish:
    channels = [each for each in dict.fromkeys(channel.split(",")) if each]
    if not 0 < len(channels) <= CHANNELS_MAX:
        raise Refused("channel= must name a channel")
    wanted: dict[str, frozenset[type[Record]]] = {}
    for each in channels:
        known = wanted_types(gateway, each, types if len(channels) == 1 else "")
        wanted[each] = frozenset(kind for kind in known if kind.channel == each)
    return Wish(types=wanted, key=key, after=read_after(after), from_start=since == "start")


@router.get(
    "/streams/records",
    response_class=StreamingResponse,
    responses={200: {"description": "Server-sent events.", "content": {"text/event-stream": {}}}},
    **needs("viewer", "records:read"),
)
async def stream_records(
    gateway: Behind,
    caller: Calling,
    channel: Channel,
    types: Types = "",
    key: Key = "",
    after: After = "",
    since: Since = "now",
    last_event_id: Annotated[str, Header(max_length=4000)] = "",
) -> StreamingResponse:
    """Follow records as server-sent events. The id of each is where to go on, as `Last-Event-ID` or `after`."""
    wish = _wish(gateway, channel, types, key, last_event_id or after, since)
    return EventStream(gateway.streams.listen(wish, caller))


class EventStream(StreamingResponse):
    """Server-sent events of a subscription, which is let go of when the client is."""

    def __init__(self, listening: AbstractAsyncContextManager[Subscription]) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__((), media_type="text/event-stream", headers=headers)
        self._listening = listening

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._listening as subscription:
            self.body_iterator = _events(subscription)
            await super().__call__(scope, receive, send)


async def _events(subscription: Subscription) -> AsyncIterator[str]:
    yield f"event: start\nid: {subscription.mark}\ndata: {{}}\n\n"
    try:
        async for heard in subscription.heard():
            if heard is None:
                yield ": beat\n\n"
                continue
            yield f"event: {type(heard.envelope.record).__name__}\nid: {subscription.mark}\ndata: {heard.text}\n\n"
        reason = subscription.reason
    except BusError as error:
        reason = str(error)
    yield f"event: end\ndata: {json.dumps(problem(503, reason))}\n\n"


@router.websocket("/streams/ws")
async def stream_over_websocket(
    socket: WebSocket,
    gateway: Behind,
    caller: Calling,
    channel: Channel,
    types: Types = "",
    key: Key = "",
    after: After = "",
    since: Since = "now",
) -> None:
    """Follow records over a WebSocket: `{"id", "record"}` each, where the id says where to go on."""
    try:
        _require(caller)
        wish = _wish(gateway, channel, types, key, after, since)
    except (BusError, Rejected) as error:
        await socket.close(POLICY, str(error)[:100])
        return
    await _serve(socket, gateway, caller, wish)


@router.websocket("/instances/{instance_id}/stream")
async def stream_instance(
    socket: WebSocket,
    gateway: Behind,
    caller: Calling,
    instance_id: Annotated[Name, Path()],
    after: After = "",
    since: Since = "now",
) -> None:
    """Follow what an instance does: its life, its tasks, and what it prints."""
    try:
        _require(caller)
        found = find_instance(gateway, caller, instance_id)
        wish = _of_instance(gateway, instance_id, found.workspace_id, after, since)
    except (BusError, Rejected) as error:
        await socket.close(POLICY, str(error)[:100])
        return
    await _serve(socket, gateway, caller, wish)


def _of_instance(gateway: Gateway, instance_id: str, workspace: str, after: str, since: str) -> Wish:
    def concerns(envelope: Envelope) -> bool:
        return bool(getattr(envelope.record, "instance_id", "") == instance_id)

    wanted = {
        channel: frozenset(
            kind for kind in gateway.types.values() if kind.channel == channel and "instance_id" in kind.model_fields
        )
        for channel in ("event", "task", "telemetry")
    }
    return Wish(types=wanted, key=workspace, after=read_after(after), from_start=since == "start", also=concerns)


def _require(caller: Caller) -> None:
    caller.require_scope("records:read")
    if not caller.has("viewer"):
        raise Rejected(403, "this needs the role viewer")


async def _serve(socket: WebSocket, gateway: Gateway, caller: Caller, wish: Wish) -> None:
    speaks = SUBPROTOCOL if SUBPROTOCOL in socket.scope.get("subprotocols", ()) else None
    try:
        async with gateway.streams.listen(wish, caller) as subscription:
            await socket.accept(speaks)
            await _pump(socket, subscription)
    except Refused as error:
        await socket.close(POLICY, str(error)[:100])


async def _pump(socket: WebSocket, subscription: Subscription) -> None:
    """Send until there is a reason to end, or the other side goes."""
    sending = asyncio.create_task(_send(socket, subscription))
    hearing = asyncio.create_task(_until_gone(socket))
    try:
        await asyncio.wait({sending, hearing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, hearing):
            task.cancel()
        results = await asyncio.gather(sending, hearing, return_exceptions=True)
    if hearing.cancelled():
        failed = next((each for each in results if isinstance(each, BusError)), None)
        code = POLICY if "key" in subscription.reason else TRY_AGAIN
        with suppress(RuntimeError, WebSocketDisconnect):  # gone meanwhile
            await socket.close(code, str(failed or subscription.reason)[:100])


async def _send(socket: WebSocket, subscription: Subscription) -> None:
    await socket.send_text(json.dumps({"id": subscription.mark, "record": None}))
    async for heard in subscription.heard():
        if heard is not None:
            await socket.send_text(f'{{"id": {json.dumps(subscription.mark)}, "record": {heard.text}}}')


async def _until_gone(socket: WebSocket) -> None:
    """What a client says is of no interest, but that it goes is."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
