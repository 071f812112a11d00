"""`clawx log checkpoint` and `verify`: sign what stands in a log, and find what was done to it since."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import FAILED, Wrong
from services.cli.option import Bus, Data, Json, read_settings

if TYPE_CHECKING:
    from services.audit.causality import Orphan
    from services.audit.checkpoint import Anchor
    from services.audit.notary import Notary
    from services.audit.verification import Tampering
    from services.settings import Settings

Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the anchor here too; keep it far away.")]
AnchorFile = Annotated[
    Path | None, typer.Option("--anchor", metavar="FILE", help="Hold the log against this one; by default the last.")
]
Key = Annotated[str, typer.Option("--key", metavar="KEY|FILE", help="Who must have signed: the public key.")]


def checkpoint(out: Out = None, bus: Bus = "", data: Data = None, as_json: Json = False) -> None:
    """Sign what stands in the log now. The anchor finds every later change, given that nobody changes it too."""
    from services.audit.checkpoint import describe, fingerprint
    from services.audit.notary import ANCHOR, directory_of, write_file
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line

    settings = read_settings(bus, "", data)
    anchor = run_async(_sign(settings))
    if out:
        write_file(anchor, out)
    if as_json:
        print_json(describe(anchor.checkpoint))
        return
    records = sum(head.offset for head in anchor.checkpoint.heads.values())
    kept = out or directory_of(settings.data, settings.namespace) / ANCHOR
    print_line(f"{records} records signed by {fingerprint(anchor.checkpoint.public_key)}: {kept}")


async def _sign(settings: Settings) -> Anchor:
    from bus.home_fold import chunks_until
    from services.cli.connection import viewing

    async with viewing(settings) as stored:
        notary = _open_notary(settings, stored.log.partitions)
        for partition, end in (await stored.log.ends(notary.chains)).items():
            async for chunk in chunks_until(stored.log, partition, 0, end):
                for offset in notary.take(partition, chunk):
                    raise Wrong(f"{partition} was changed before {offset} since it was last signed; see `log verify`")
        if cut := notary.missing():
            raise Wrong(f"{cut[0]} ends before what was last signed of it; see `log verify`")
        return notary.sign(time.time_ns() // 1_000_000)


def _open_notary(settings: Settings, partitions: int) -> Notary:
    from services.audit.checkpoint import AnchorInvalid
    from services.audit.notary import Notary
    from services.audit.signing_key import ProofMissing

    try:
        return Notary.open(settings.namespace, partitions, settings.data)
    except ProofMissing as error:
        raise Wrong(str(error)) from error
    except AnchorInvalid as error:
        raise Wrong(f"a checkpoint in {settings.data / 'audit'} proves nothing: {error}") from error


def verify(anchor: AnchorFile = None, key: Key = "", bus: Bus = "", data: Data = None, as_json: Json = False) -> None:
    """Find what was modified, deleted, inserted, reordered or cut off since the anchor was made.

    Also finds facts whose causes are not in the log. Exit code 1 if anything is found.
    """
    from services.audit.checkpoint import fingerprint
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line, say_time, tell

    settings = read_settings(bus, "", data)
    signed = _read_anchor(settings, anchor, key)
    findings = run_async(_verify(settings, signed))
    for finding in findings:
        if as_json:
            print_json(finding)
        else:
            print_line(f"{finding['position']}  {finding['kind']}  {finding['reason']}")
    made, who = say_time(signed.checkpoint.made_at_ms), fingerprint(signed.checkpoint.public_key)
    tell(f"signed {made} by {who}" + ("" if key else ", who that is was not checked: give --key"))
    if findings:
        raise typer.Exit(FAILED)
    tell("the log is what was signed")


async def _verify(settings: Settings, anchor: Anchor) -> list[dict[str, object]]:
    from services.audit.causality import find_orphans
    from services.audit.verification import verify_log
    from services.cli.connection import viewing

    async with viewing(settings) as stored:
        if stored.log.partitions != anchor.checkpoint.partitions:
            raise Wrong(f"the anchor is of a log with {anchor.checkpoint.partitions} partitions a channel")
        changes = [_finding(f"{each.partition}/{each.offset}", each) async for each in verify_log(stored.log, anchor)]
        orphans = [_finding(str(each.at), each) async for each in find_orphans(stored.log, stored.codec)]
        return [*changes, *orphans]


def _finding(position: str, found: Tampering | Orphan) -> dict[str, object]:
    kind, records = getattr(found, "kind", "orphan"), getattr(found, "records", 1)
    return {"position": position, "kind": kind, "records": records, "reason": found.reason}


def _read_anchor(settings: Settings, path: Path | None, key: str) -> Anchor:
    from services.audit.checkpoint import AnchorInvalid, read_anchor
    from services.audit.notary import ANCHOR, directory_of
    from services.audit.signing_key import ProofMissing, check_signature

    path = path or directory_of(settings.data, settings.namespace) / ANCHOR
    try:
        with path.open() as file:
            anchor = read_anchor(file)
        check_signature(anchor.checkpoint, _read_key(key))
    except OSError as error:
        raise Wrong(f"no anchor can be read at {path}: {error.strerror}; `clawx log checkpoint` makes one") from error
    except (AnchorInvalid, ProofMissing) as error:
        raise Wrong(f"{path} proves nothing: {error}") from error
    return anchor


def _read_key(key: str) -> bytes | None:
    if not key:
        return None
    text = Path(key).read_text() if Path(key).is_file() else key
    try:
        return bytes.fromhex(text.strip())
    except ValueError as error:
        raise Wrong(f"{key} is no public key: that is 64 hexadecimal digits, or a file with them") from error
