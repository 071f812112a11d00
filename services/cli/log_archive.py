"""`clawx log export` and `import`: a log as files, and files as a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.failure import Failed, Wrong
from services.cli.option import Bus, Data, Json, read_settings

if TYPE_CHECKING:
    from services.audit.archive import Manifest
    from services.settings import Settings

Directory = Annotated[Path, typer.Argument(metavar="DIRECTORY", help="Where the archive is, or shall be.")]
NoBlobs = Annotated[bool, typer.Option("--no-blobs", help="Leave out the contents that the records name.")]


def export(
    directory: Directory, no_blobs: NoBlobs = False, bus: Bus = "", data: Data = None, as_json: Json = False
) -> None:
    """Write everything that is kept for ever into a new directory, as Avro files with a manifest."""
    from services.cli.loop import run_async

    if directory.exists() and any(directory.iterdir()):
        raise Wrong(f"{directory} is not empty")
    directory.mkdir(parents=True, exist_ok=True)
    with _told():
        manifest, lacking = run_async(_export(read_settings(bus, "", data), directory, not no_blobs))
    _print(manifest, directory, as_json, lacking=lacking)


async def _export(settings: Settings, directory: Path, with_blobs: bool) -> tuple[Manifest, list[str]]:
    from bus.codec import schemas
    from services.audit.archive import Manifest, write_manifest, write_records
    from services.audit.archived_blobs import NamedBlobs, copy_named
    from services.cli.connection import viewing
    from services.records import LANGUAGE

    named, lacking, copied = NamedBlobs(), list[str](), list[str]()
    async with viewing(settings) as stored:
        files, chains = await write_records(stored.log, directory, named.note)
        if with_blobs:
            copied, lacking = await copy_named(named.digests, stored.blobs, directory)
        manifest = Manifest(
            namespace=stored.log.namespace,
            partitions=stored.log.partitions,
            made_at_ms=time.time_ns() // 1_000_000,
            files=tuple(files),
            ends={str(partition): chain.offset for partition, chain in chains.items()},
            chains={str(partition): chain.head.hex() for partition, chain in chains.items()},
            blobs=tuple(copied),
        )
        write_manifest(directory, manifest, schemas(LANGUAGE))
    return manifest, lacking


def import_(directory: Directory, bus: Bus = "", data: Data = None, as_json: Json = False) -> None:
    """Put an archive back into an empty namespace, every record at its offset; a new one is made for it."""
    from services.cli.loop import run_async

    with _told():
        manifest = run_async(_import(read_settings(bus, "", data), directory))
    _print(manifest, directory, as_json)


async def _import(settings: Settings, directory: Path) -> Manifest:
    from bus.address import open_log
    from bus.blobs import DirectoryBlobs
    from services.audit.archive import read_manifest
    from services.audit.archived_blobs import put_back
    from services.audit.restoring import check_archive, check_target, restore
    from services.records import language_codec

    manifest = read_manifest(directory)
    check_archive(directory, manifest)
    settings = replace(settings, partitions=manifest.partitions)
    codec = language_codec()
    log = await open_log(
        settings.bus_url, namespace=settings.namespace, partitions=settings.partitions, access=settings.access()
    )
    try:
        await check_target(log, manifest)
        await put_back(manifest.blobs, directory, DirectoryBlobs(settings.blob_directory))
        await restore(log, codec, directory, manifest)
    finally:
        await log.close()
    return manifest


@contextmanager
def _told() -> Iterator[None]:
    from services.audit.archive import ArchiveInvalid
    from services.audit.restoring import NotEmpty, RestoreFailed

    try:
        yield
    except (ArchiveInvalid, NotEmpty) as error:
        raise Wrong(str(error)) from error
    except RestoreFailed as error:
        raise Failed(f"{error}; nobody may use this namespace") from error


def _print(manifest: Manifest, directory: Path, as_json: bool, **more: list[str]) -> None:
    from services.cli.terminal import print_json, print_line

    figures: dict[str, Any] = {"records": manifest.records, "files": len(manifest.files), "blobs": len(manifest.blobs)}
    if as_json:
        print_json({"directory": str(directory), "namespace": manifest.namespace, **figures, **more})
        return
    counts = ", ".join(f"{count} {name}" for name, count in figures.items())
    print_line(f"{directory}: {counts}")
