"""`clawx log quarantine`: what roles have set aside, looked at and published again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Wrong
from services.cli.option import Bus, Data, Json, Server, read_settings

if TYPE_CHECKING:
    from bus.channel import Position
    from bus.log import Stored
    from bus.record import Envelope
    from services.settings import Settings

app = typer.Typer(help="What roles have set aside.", no_args_is_help=True)

At = Annotated[str, typer.Argument(metavar="POSITION", help="Where it stands, such as task/3/17.")]
Role = Annotated[str, typer.Option("--role", metavar="NAME", help="Only what this role has set aside.")]

HEADS = ("input", "role", "size", "time", "reason")
DUMP_BYTES_A_LINE = 16


@app.callback()
def quarantine() -> None:
    """What roles have set aside."""


@app.command("list")
def list_(role: Role = "", bus: Bus = "", server: Server = "", data: Data = None, as_json: Json = False) -> None:
    """List what was set aside, the oldest first: by whom, why, and where it stands."""
    from services.cli.loop import run_async
    from services.cli.terminal import print_rows, say_time

    facts = run_async(_facts(read_settings(bus, server, data)))
    rows = [_row(fact) for fact in facts if role in ("", fact.origin.role)]
    shown = rows if as_json else [row | {"time": say_time(row["time_ms"])} for row in rows]
    print_rows(shown, HEADS, as_json)


@app.command()
def show(at: At, bus: Bus = "", server: Server = "", data: Data = None, as_json: Json = False) -> None:
    """Show who has set a record aside and why, its headers, and all its bytes."""
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line

    position = _parse(at)
    facts, stored = run_async(_look_up(read_settings(bus, server, data), position))
    if as_json:
        print_json({"input": at, "quarantined": [_row(fact) for fact in facts], "record": _described(stored)})
        return
    for fact in facts:
        print_line(f"{fact.origin.role} set it aside, as {fact.at} says: {_one_line(fact.record.reason)}")
    for line in _lines(stored):
        print_line(line)


@app.command()
def retry(at: At, bus: Bus = "", server: Server = "", data: Data = None, as_json: Json = False) -> None:
    """Publish the same bytes again to the same partition, once, after what was wrong is mended; asks and reports only.

    The id is the same: a role that did decide on the record does not do so again.
    """
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line

    now = run_async(_retry(read_settings(bus, server, data), _parse(at)))
    if as_json:
        print_json({"input": at, "position": str(now)})
    else:
        print_line(f"{at} stands at {now} now, to be decided anew")


def _parse(text: str) -> Position:
    from bus.channel import Position

    try:
        return Position.parse(text)
    except ValueError as error:
        raise Wrong(f"{text!r} is no position: right would be CHANNEL/PARTITION/OFFSET, such as task/3/17") from error


async def _facts(settings: Settings) -> list[Envelope]:
    from bus.channel import STATE_CHANNELS
    from bus.record import InputQuarantined
    from services.cli.connection import reading

    found: list[Envelope] = []
    async with reading(settings) as bus:
        for channel in STATE_CHANNELS:
            found += [each async for each in bus.subscribe(channel, [InputQuarantined], live=False)]
    return sorted(found, key=lambda fact: (fact.time_ms, str(fact.at)))


async def _look_up(settings: Settings, at: Position) -> tuple[list[Envelope], Stored]:
    from bus.retry import quarantines_of, read_record
    from services.cli.connection import viewing

    if settings.server:
        raise Wrong("a record's bytes are read from the log itself: name it with --bus, or --data where it is embedded")
    async with viewing(settings) as view:
        stored = await read_record(view.log, at)
        return await quarantines_of(view.log, view.codec, at), stored


async def _retry(settings: Settings, at: Position) -> Position:
    from services.cli.connection import writing

    async with writing(settings) as bus:
        return await bus.retry(at)


def _row(fact: Envelope) -> dict[str, object]:
    said = fact.record
    return {
        "input": said.input,
        "role": fact.origin.role,
        "size": said.size or None,
        "digest": said.digest or None,
        "time_ms": fact.time_ms,
        "position": str(fact.at),
        "reason": _one_line(said.reason),
    }


def _described(stored: Stored) -> dict[str, object]:
    import base64

    def text(data: bytes) -> str:
        return base64.b64encode(data).decode()

    return {
        "key": text(stored.key),
        "time_ms": stored.time_ms,
        "headers": [{"name": name, "value": text(value or b"")} for name, value in stored.headers],
        "value": text(stored.value),
    }


def _lines(stored: Stored) -> Iterator[str]:
    from services.cli.terminal import say_time

    yield f"key      {_readable(stored.key)}"
    yield f"time     {stored.time_ms} ms" + (f" ({say_time(stored.time_ms)})" if _is_time(stored.time_ms) else "")
    for name, value in stored.headers:
        yield f"header   {_readable(name.encode(errors='replace'))}: {_readable(value or b'')}"
    yield f"value    {len(stored.value)} bytes"
    yield from hexdump(stored.value)


def _is_time(time_ms: int) -> bool:
    from bus.codec import TIME_MS_MAX

    return 0 <= time_ms <= TIME_MS_MAX


def _readable(data: bytes) -> str:
    """Text where it is some, and nothing that a terminal would obey."""
    text = data.decode(errors="backslashreplace")
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _one_line(text: str) -> str:
    return _readable(" ".join(text.split()).encode(errors="replace"))


def hexdump(data: bytes) -> Iterator[str]:
    """Offset, bytes and what of them is ASCII, a line for every sixteen."""
    for start in range(0, len(data), DUMP_BYTES_A_LINE):
        line = data[start : start + DUMP_BYTES_A_LINE]
        halves = f"{line[:8].hex(' ')}  {line[8:].hex(' ')}"
        shown = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in line)
        yield f"{start:08x}  {halves:<48}  |{shown}|"
