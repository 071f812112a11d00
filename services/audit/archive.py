"""A log as files: Avro object containers with the records as they are stored, and a manifest of what they hold.

Every file stands for itself: any Avro reader gives its rows, and `schemas/` has what their values were written with.
The manifest is written last; a directory without it is no archive.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import fastavro
from fastavro.write import Writer

from bus.channel import STATE_CHANNELS, Partition
from bus.home_fold import chunks_until
from bus.log import Log, Stored
from services.audit.chain import Chain

FORMAT = 1
MANIFEST = "manifest.json"

FILE_RECORDS_MAX = 100_000
"""Most records in one file."""

SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Stored",
        "namespace": "clawx.archive",
        "doc": "A record as it stands in a partition of a log.",
        "fields": [
            {"name": "offset", "type": "long"},
            {"name": "time_ms", "type": "long"},
            {"name": "key", "type": "bytes"},
            {"name": "value", "type": "bytes"},
            {
                "name": "headers",
                "type": {
                    "type": "array",
                    "items": {
                        "type": "record",
                        "name": "Header",
                        "fields": [{"name": "name", "type": "string"}, {"name": "value", "type": ["null", "bytes"]}],
                    },
                },
            },
        ],
    }
)


class ArchiveInvalid(Exception):
    """A directory that is no archive, or no longer the one that was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of an archive."""

    path: str  # below the archive's directory
    partition: str
    first: int  # offset
    count: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an archive holds; `chains` are the heads behind the last record of each partition."""

    namespace: str
    partitions: int
    made_at_ms: int
    files: tuple[File, ...]
    ends: Mapping[str, int]
    chains: Mapping[str, str]
    blobs: tuple[str, ...] = ()

    @property
    def records(self) -> int:
        return sum(file.count for file in self.files)

    def files_of(self, partition: Partition) -> Iterator[File]:
        """The files of a partition, in the order of their offsets."""
        yield from sorted((f for f in self.files if f.partition == str(partition)), key=lambda file: file.first)


async def write_records(
    log: Log, directory: Path, seen: Callable[[Sequence[Stored]], None]
) -> tuple[list[File], dict[Partition, Chain]]:
    """Write every record of the channels that are kept for ever, up to where they end now; `seen` is shown all of them.

    Raises ArchiveInvalid for a log of which the beginning is gone: nothing could be put back at its offset.
    """
    partitions = [Partition(channel, number) for channel in STATE_CHANNELS for number in range(log.partitions)]
    starts, ends = await log.starts(partitions), await log.ends(partitions)
    if gone := [partition for partition in partitions if starts[partition]]:
        raise ArchiveInvalid(f"{gone[0]} begins at {starts[gone[0]]}: what came before it is gone")
    files: list[File] = []
    chains = {partition: Chain(partition) for partition in partitions}
    for partition in partitions:
        async for batch in _batches(log, partition, ends[partition]):
            chains[partition].extend(batch)
            seen(batch)
            files.append(_write_file(directory, partition, batch))
    return files, chains


async def _batches(log: Log, partition: Partition, end: int) -> AsyncIterator[list[Stored]]:
    batch: list[Stored] = []
    async for chunk in chunks_until(log, partition, 0, end):
        batch += chunk
        if len(batch) >= FILE_RECORDS_MAX:
            yield batch
            batch = []
    if batch:
        yield batch


def _write_file(directory: Path, partition: Partition, records: Sequence[Stored]) -> File:
    path = directory / partition.channel / str(partition.number) / f"{records[0].offset:012d}.avro"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        writer = Writer(file, SCHEMA, codec="deflate")
        for stored in records:
            writer.write(_row(stored))
        writer.flush()
    return File(
        path=str(path.relative_to(directory)),
        partition=str(partition),
        first=records[0].offset,
        count=len(records),
        sha256=sha256_of(path),
    )


def _row(stored: Stored) -> dict[str, Any]:
    headers = [{"name": name, "value": value} for name, value in stored.headers]
    fields = {"offset": stored.offset, "time_ms": stored.time_ms, "key": stored.key, "value": stored.value}
    return {**fields, "headers": headers}


def sha256_of(path: Path) -> str:
    """Hexadecimal digits of a file's digest."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_records(directory: Path, file: File) -> Iterator[Stored]:
    """The records of a file. Raises ArchiveInvalid unless it holds what the manifest says."""
    path = directory / file.path
    if not path.is_file():
        raise ArchiveInvalid(f"{file.path} is missing")
    if (found := sha256_of(path)) != file.sha256:
        raise ArchiveInvalid(f"{file.path} has the digest {found}, not the one of the manifest")
    with path.open("rb") as content:
        offset = file.first
        rows: Iterator[Any] = iter(fastavro.reader(content))
        for row in rows:
            if row["offset"] != offset:
                raise ArchiveInvalid(f"{file.path} holds offset {row['offset']} where {offset} should be")
            headers = tuple((header["name"], header["value"]) for header in row["headers"])
            yield Stored(offset, row["key"], row["value"], headers, row["time_ms"])
            offset += 1
    if offset != file.first + file.count:
        raise ArchiveInvalid(f"{file.path} holds {offset - file.first} records, not {file.count}")


def write_manifest(directory: Path, manifest: Manifest, schemas: Mapping[str, Any]) -> None:
    """Make the directory an archive."""
    for name, schema in schemas.items():
        path = directory / "schemas" / f"{name}.avsc"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
    text = json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1)
    partial = directory / f".{MANIFEST}.partial"
    partial.write_text(text + "\n")
    partial.replace(directory / MANIFEST)


def read_manifest(directory: Path) -> Manifest:
    """What an archive says of itself. Raises ArchiveInvalid."""
    try:
        said = json.loads((directory / MANIFEST).read_text())
        if said.pop("format") != FORMAT:
            raise ArchiveInvalid(f"{directory} is an archive of another format")
        files = tuple(File(**file) for file in said.pop("files"))
        manifest = Manifest(files=files, blobs=tuple(said.pop("blobs")), **said)
    except OSError as error:
        raise ArchiveInvalid(f"{directory} has no {MANIFEST}: it is no archive, or was not finished") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArchiveInvalid(f"the {MANIFEST} of {directory} cannot be read: {error}") from error
    _check_files(manifest)
    return manifest


def _check_files(manifest: Manifest) -> None:
    """Every partition is there from its first record to its last, in files of this directory."""
    for file in manifest.files:
        if Path(file.path).is_absolute() or ".." in Path(file.path).parts:
            raise ArchiveInvalid(f"{file.path} lies outside the archive")
    for name, end in manifest.ends.items():
        channel, _, number = name.partition("/")
        offset = 0
        for file in manifest.files_of(Partition(channel, int(number))):
            if file.first != offset:
                raise ArchiveInvalid(f"{name} has no file for offset {offset}")
            offset += file.count
        if offset != end:
            raise ArchiveInvalid(f"{name} ends at {offset}, not at {end}")
