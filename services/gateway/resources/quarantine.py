"""/quarantine: what roles have set aside, published again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from bus.channel import Position
from services.gateway.answer import written
from services.gateway.caller import EVERYWHERE, Calling, needs
from services.gateway.gateway import PREFIX, Behind
from services.gateway.resources.field import Shown

router = APIRouter(prefix=PREFIX, tags=["records"])


class RecordRetried(Shown):
    """Where a record that was set aside stands now."""

    position: str


@router.post(
    "/quarantine/{channel}/{number}/{offset}/retry",
    status_code=201,
    response_model=RecordRetried,
    **needs("admin", "records:write"),
)
async def retry_record(
    channel: Annotated[str, Path(max_length=20, examples=["task"])],
    number: Annotated[int, Path(ge=0, lt=2**31)],
    offset: Annotated[int, Path(ge=0, lt=2**63)],
    gateway: Behind,
    caller: Calling,
) -> Response:
    """Publish an ask or a report again that somebody has set aside, once, after what was wrong is mended."""
    caller.require("admin", EVERYWHERE)
    at = await gateway.bus.retry(Position(channel, number, offset))
    return written(RecordRetried(position=str(at)), 201)
