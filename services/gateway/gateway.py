"""What the routes of the gateway work with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from bus.client import LogBus
from bus.codec import Codec
from bus.record import Record
from services.gateway.blobs import KnownBlobs
from services.gateway.desk import Desk
from services.gateway.subscription import Streams
from services.gateway.views.reading import Reading

PREFIX = "/api/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """One gateway: the bus behind it and the views of it."""

    bus: LogBus
    blobs: KnownBlobs
    codec: Codec
    reading: Reading
    desk: Desk
    streams: Streams
    closing: asyncio.Event

    @property
    def types(self) -> Mapping[str, type[Record]]:
        return self.codec.types


async def gateway_of(connection: HTTPConnection) -> Gateway:
    """The gateway that serves a connection. A coroutine, as all dependencies here: others would take a thread each."""
    gateway: Gateway = connection.app.state.gateway
    return gateway


Behind = Annotated[Gateway, Depends(gateway_of)]
