"""`clawx log republish`: ask another namespace what was asked of this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Wrong
from services.cli.option import Bus, Data, Json, read_settings

if TYPE_CHECKING:
    from bus.codec import Codec
    from bus.log import Log
    from services.audit.republishing import Republished
    from services.settings import Settings

To = Annotated[
    str, typer.Option("--to", metavar="NAMESPACE|URL", help="Where to: a namespace beside it, or another log.")
]
Type = Annotated[list[str] | None, typer.Option("--type", "-t", help="Only this type of record; may be repeated.")]
Reports = Annotated[bool, typer.Option("--reports", help="Reports too, not only asks.")]
Rate = Annotated[float, typer.Option("--rate", metavar="N", min=0, help="At most N records a second.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count what would be written, and write nothing.")]
Force = Annotated[bool, typer.Option("--force", help="Write even where somebody has written already.")]


def republish(
    to: To,
    type_: Type = None,
    reports: Reports = False,
    rate: Rate = 0,
    dry_run: DryRun = False,
    force: Force = False,
    bus: Bus = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Publish the asks of a log anew, in the order of their times and under their ids; deciders there decide anew.

    Facts and claims stay where they are.
    """
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line
    from services.records import language_codec
    from services.wire import record_type

    settings = read_settings(bus, "", data)
    target = _target(settings, to)
    names = [record_type(name, language_codec().types).__name__ for name in type_ or []]
    kinds = ("ask", "report") if reports else ("ask",)
    done = run_async(_republish(settings, target, kinds, names, 0 if dry_run else rate, dry_run, force))
    if as_json:
        print_json({"found": done.found, "written": done.written})
        return
    for name, count in sorted(done.found.items()):
        print_line(f"{name}  {count}")
    print_line(f"{done.written} written to {to}")


def _target(settings: Settings, to: str) -> Settings:
    from dataclasses import replace

    if "://" not in to and settings.is_embedded:
        raise Wrong(f"an embedded log has one namespace; name another log: --to sqlite:///PATH instead of {to!r}")
    beside = settings.bus_url.partition("?")[0]
    target = replace(settings, bus=to) if "://" in to else replace(settings, bus=beside, namespace=to)
    if (target.bus_url, target.namespace) == (settings.bus_url, settings.namespace):
        raise Wrong("that is the log that it would be read from")
    return target


async def _republish(
    settings: Settings,
    target: Settings,
    kinds: tuple[str, ...],
    names: list[str],
    rate: float,
    dry_run: bool,
    force: bool,
) -> Republished:
    from bus.clock import SystemClock
    from services.audit.republishing import Republished, find_asked, note, republish
    from services.cli.connection import viewing

    async with viewing(settings) as stored:
        asked = find_asked(stored.log, stored.codec, kinds, names)
        if dry_run:
            outcome = Republished()
            async for envelope in asked:
                note(outcome, envelope)
            return outcome
        log = await _open(target, stored.codec, force)
        try:
            return await republish(asked, stored.codec, log, SystemClock(), per_s=rate)
        finally:
            await log.close()


async def _open(target: Settings, codec: Codec, force: bool) -> Log:
    from bus.address import open_log
    from services.audit.republishing import NamespaceLive, check_target

    log = await open_log(
        target.bus_url, namespace=target.namespace, partitions=target.partitions, access=target.access(), codec=codec
    )
    try:
        if not force:
            await check_target(log)
    except NamespaceLive as error:
        await log.close()
        raise Wrong(f"{error}; nothing is written to what is in use, but for --force") from error
    return log
