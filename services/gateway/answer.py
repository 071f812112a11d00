"""Answers as JSON: with an ETag, by pages, and no older than the caller wants."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel, Field

from bus.channel import Position
from bus.errors import Refused
from services.gateway.gateway import Behind
from services.gateway.rejection import Rejected
from services.gateway.views.shelf import Mark, Shelf

AFTER_S_MAX = 10.0
"""How long a read waits for the position that it must show."""

PAGE_MAX = 200
"""Most things on a page."""

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

POSITIONS_MAX = 16


class Page(BaseModel, Generic[M]):
    """Some things in the order of their making."""

    items: list[M]
    next_cursor: str | None = Field(default=None, description="Give it as `cursor` to go on; absent on the last page.")


async def wait_for_views(
    gateway: Behind,
    after: Annotated[
        str,
        Query(max_length=400, description="Positions, such as `task/3/17`, that the answer must show.", examples=[""]),
    ] = "",
) -> None:
    """Read-your-writes: wait, for so long at most, until the views show these positions."""
    try:
        positions = [Position.parse(part) for part in after.split(",") if part]
    except ValueError as error:
        raise Refused(f"after={after!r} must be positions such as task/3/17, with commas between them") from error
    if len(positions) > POSITIONS_MAX:
        raise Refused(f"after= takes {POSITIONS_MAX} positions at most")
    await gateway.reading.require(positions)
    try:
        await gateway.reading.passed(positions, AFTER_S_MAX)
    except TimeoutError as error:
        raise Rejected(503, f"the views have not reached {after} within {AFTER_S_MAX:g} s") from error


Fresh = Depends(wait_for_views)


class Turn:
    """Which page somebody wants."""

    def __init__(self, limit: int, mark: Mark | None) -> None:
        self.limit, self.mark = limit, mark

    def page(self, shelf: Shelf[T], keep: Callable[[T], bool], show: Callable[[T], M]) -> Page[M]:
        """The page of a shelf."""
        found, mark = shelf.page(self.mark, self.limit, keep)
        return Page(items=[show(each) for each in found], next_cursor=_write_cursor(mark) if mark else None)

    def slice(self, rows: Sequence[M]) -> Page[M]:
        """The page of rows that only grow at the end."""
        start = self.mark.made_ms if self.mark else 0
        end = start + self.limit
        more = _write_cursor(Mark(end, "")) if end < len(rows) else None
        return Page(items=list(rows[max(start, 0) : max(end, 0)]), next_cursor=more)


async def turn_of(
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX, description="Most things on the page.")] = 50,
    cursor: Annotated[str, Query(max_length=400, description="`next_cursor` of the page before.")] = "",
) -> Turn:
    """Read which page is wanted."""
    return Turn(limit, _read_cursor(cursor))


Turning = Annotated[Turn, Depends(turn_of)]


def _write_cursor(mark: Mark) -> str:
    return base64.urlsafe_b64encode(json.dumps(mark).encode()).decode()


def _read_cursor(text: str) -> Mark | None:
    if not text:
        return None
    try:
        made_ms, name = json.loads(base64.urlsafe_b64decode(text.encode()))
        if not isinstance(made_ms, int) or not isinstance(name, str):
            raise TypeError("no mark")
        return Mark(made_ms, name)
    except (ValueError, TypeError, RecursionError) as error:
        raise Refused("this cursor is none that a page gave") from error


def show(request: Request, model: BaseModel) -> Response:
    """The model as JSON with its ETag, or 304 where the caller has it already."""
    content = model.model_dump_json(by_alias=True).encode()
    etag = f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    given = request.headers.get("if-none-match", "")
    if etag in [part.strip().removeprefix("W/") for part in given.split(",")]:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


def written(model: BaseModel, status: int, *, location: str = "", waited: float | None = None) -> Response:
    """The answer to a call that wrote something."""
    headers: dict[str, str] = {"Location": location} if location else {}
    if waited is not None:
        headers["Preference-Applied"] = f"wait={waited:g}"
    return Response(model.model_dump_json(by_alias=True), status, headers, media_type="application/json")


def shown(model: Any, what: str) -> dict[str, Any]:
    """What a route that reads says of its answers."""
    return {"response_model": model, "response_description": what, "responses": {304: {"description": "Not changed."}}}
