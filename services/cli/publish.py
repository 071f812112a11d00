"""`clawx publish TYPE`: append one ask or report, read as JSON from stdin."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.option import Bus, Data, Json, Server, read_settings

if TYPE_CHECKING:
    from bus.channel import Position
    from bus.record import Record
    from services.settings import Settings

Type = Annotated[str, typer.Argument(metavar="TYPE", help="Such as RunCancelRequested; asks and reports only.")]
RecordId = Annotated[str, typer.Option("--id", metavar="ID", help="The same id again is the same record.")]


def publish(
    name: Type,
    record_id: RecordId = "",
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Publish one record, read from stdin. It is a JSON object with the fields of its type."""
    import uuid

    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line
    from services.records import language_codec
    from services.wire import read_record, record_type

    record = read_record(record_type(name, language_codec().types), sys.stdin.read())
    record_id = record_id or uuid.uuid4().hex
    at = run_async(_publish(read_settings(bus, server, data), record, record_id))
    if as_json:
        print_json({"id": record_id, "channel": at.channel, "partition": at.number, "offset": at.offset})
    else:
        print_line(f"{record_id} at {at}")


async def _publish(settings: Settings, record: Record, record_id: str) -> Position:
    from services.cli.connection import writing

    async with writing(settings) as bus:
        return await bus.publish(record, record_id=record_id)
