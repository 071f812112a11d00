"""An archive holds a log and gives it back, byte by byte and offset by offset, on both logs."""

import asyncio
import json
import random
import shutil
from asyncio import Future
from collections.abc import Callable, Sequence
from pathlib import Path

import fastavro
import pytest

from bus.address import open_log, view_log
from bus.channel import STATE_CHANNELS, Partition
from bus.codec import Codec
from bus.log import Appender, Log, Raw, Stored
from bus.record import Origin
from services.audit.archive import (
    MANIFEST,
    ArchiveInvalid,
    Manifest,
    read_manifest,
    write_manifest,
    write_records,
)
from services.audit.archived_blobs import NamedBlobs
from services.audit.restoring import NotEmpty, RestoreFailed, check_archive, restore
from services.records import LANGUAGE
from services.records.task import RunEnded
from tests.bus.stored_log import StoredLog
from tests.services.audit.recorded import Recorded, read_all
from tests.services.cli.conftest import Clawx

CODEC = Codec(LANGUAGE)


@pytest.fixture
def archive(recorded: Recorded, clawx: Clawx, tmp_path: Path) -> Path:
    ended = clawx("log", "export", tmp_path / "archive", "--data", recorded.data, "--json")
    assert ended.code == 0, ended.err
    return tmp_path / "archive"


async def everything(log: Log) -> dict[Partition, list[Stored]]:
    return await read_all(log, STATE_CHANNELS)


async def test_a_log_is_put_back_as_it_was(recorded: Recorded, archive: Path, clawx: Clawx, tmp_path: Path) -> None:
    ended = await asyncio.to_thread(clawx, "log", "import", archive, "--data", tmp_path / "new", "--json")
    assert ended.code == 0, ended.err
    old, new = await view_log(recorded.url), await view_log(f"sqlite:///{tmp_path / 'new' / 'log'}")
    assert await everything(new) == await everything(old)
    assert sum(map(len, (await everything(new)).values())) == json.loads(ended.out)["records"] > 100
    await old.close()
    await new.close()


def test_what_was_put_back_can_be_replayed_and_gone_on_with(clawx: Clawx, archive: Path, data: Path) -> None:
    assert clawx("log", "import", archive).code == 0
    replayed = clawx("replay")
    assert (replayed.code, "none would be different" in replayed.err) == (0, True)
    runs = clawx("workflows", "list", "--json").out.splitlines()
    assert sorted(json.loads(line)["status"] for line in runs) == ["completed", "completed", "failed"]
    again = clawx("log", "import", archive)
    assert (again.code, "needs an empty namespace" in again.err) == (2, True)


async def test_a_log_goes_from_sqlite_to_kafka_and_back(
    recorded: Recorded, archive: Path, kafka: str, namespace: str, tmp_path: Path
) -> None:
    manifest = read_manifest(archive)
    log = await open_log(f"kafka://{kafka}?namespace={namespace}&partitions={manifest.partitions}")
    await restore(log, CODEC, archive, manifest)
    files, chains = await write_records(log, tmp_path / "again", lambda records: None)
    await log.close()
    assert {str(partition): chain.head.hex() for partition, chain in chains.items()} == manifest.chains
    assert sum(file.count for file in files) == manifest.records
    old = await view_log(recorded.url)
    view = await view_log(f"kafka://{kafka}?namespace={namespace}")
    assert await everything(view) == await everything(old)
    await view.close()
    await old.close()


def test_any_avro_reader_gives_the_rows_and_schemas_are_beside_them(archive: Path) -> None:
    (path, *_) = sorted(archive.glob("task/*/*.avro"))
    with path.open("rb") as file:
        rows = list(fastavro.reader(file))
    assert [row["offset"] for row in rows] == list(range(len(rows)))  # type: ignore[index, call-overload]
    schema = json.loads((archive / "schemas" / "task" / "RunEnded.avsc").read_text())
    assert schema["name"] == "RunEnded"


def test_the_contents_that_records_name_travel_with_them(recorded: Recorded, archive: Path, tmp_path: Path) -> None:
    manifest = read_manifest(archive)
    assert manifest.blobs
    kept = {path.name for path in (archive / "blobs").rglob("*") if path.is_file()}
    assert {digest.removeprefix("sha256:")[2:] for digest in manifest.blobs} == kept
    named = NamedBlobs()
    digest = manifest.blobs[0]
    named.note([Stored(0, b"", b"\x02" + digest.encode() + b"\x04sha256:short", (), 0)])
    assert named.digests == {digest}


DAMAGE: dict[str, Callable[[Path], None]] = {
    "no manifest": lambda archive: (archive / MANIFEST).unlink(),
    "a file is missing": lambda archive: next(archive.glob("event/*/*.avro")).unlink(),
    "a file is cut": lambda archive: _cut(next(archive.glob("task/3/*.avro"))),
    "a file has other bytes": lambda archive: _flip(next(archive.glob("task/3/*.avro"))),
    "a file is left out": lambda archive: _edit(archive, lambda said: said["files"].pop()),
    "another chain": lambda archive: _edit(archive, lambda said: said["chains"].update({"task/3": "00" * 32})),
    "another end": lambda archive: _edit(archive, lambda said: said["ends"].update({"task/3": 1})),
    "a file elsewhere": lambda archive: _edit(archive, lambda said: said["files"][0].update({"path": "../x"})),
    "another format": lambda archive: _edit(archive, lambda said: said.update({"format": 9})),
}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def _edit(archive: Path, change: "Callable[[dict], object]") -> None:  # type: ignore[type-arg]
    said = json.loads((archive / MANIFEST).read_text())
    change(said)
    (archive / MANIFEST).write_text(json.dumps(said))


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_archive_is_refused_before_anything_is_written(
    damage: str, clawx: Clawx, archive: Path, data: Path
) -> None:
    DAMAGE[damage](archive)
    ended = clawx("log", "import", archive)
    assert ended.code == 2, ended.err
    assert not (data / "log").exists()


def test_a_lost_content_is_named_and_stops_the_import(clawx: Clawx, recorded: Recorded, tmp_path: Path) -> None:
    copy = tmp_path / "poor"
    shutil.copytree(recorded.data, copy)
    shutil.rmtree(copy / "blobs")
    ended = clawx("log", "export", tmp_path / "archive", "--data", copy, "--json")
    assert json.loads(ended.out)["lacking"]
    assert clawx("log", "export", tmp_path / "archive", "--data", copy).code == 2  # it is not empty


async def test_a_decision_is_never_cut_and_every_batch_is_checked(tmp_path: Path) -> None:
    """A log with wide decisions, restored while another process writes into the same namespace."""
    rng = random.Random(1)
    source = await open_log(f"sqlite:///{tmp_path / 'source.sqlite'}", partitions=1)
    appender = await source.appender()
    ended = RunEnded(workspace_id="w", run_id="r", status="completed", reason="x" * 4000)
    for number in range(60):
        parts = rng.choice((1, 3, 100))
        raws = [_raw(ended, number, part, parts) for part in range(parts)]
        await appender.append(Partition("task", 0), raws)
    manifest = await archived(source, tmp_path / "archive")
    target = Sampled(await open_log(f"sqlite:///{tmp_path / 'target.sqlite'}", partitions=1))
    await restore(target, CODEC, tmp_path / "archive", manifest)
    assert await everything(target.log) == await everything(source)
    for batch in target.batches:
        assert CODEC.peek(Stored(0, *batch[0])).origin.part == 0
        last = CODEC.peek(Stored(0, *batch[-1])).origin
        assert last.part + 1 == last.parts
    assert 5 < len(target.batches) < 60
    disturbed = Sampled(await open_log(f"sqlite:///{tmp_path / 'disturbed.sqlite'}", partitions=1), disturb=True)
    with pytest.raises(RestoreFailed, match="somebody else writes here"):
        await restore(disturbed, CODEC, tmp_path / "archive", manifest)
    await target.log.close()
    await disturbed.log.close()
    other = await open_log(f"sqlite:///{tmp_path / 'other.sqlite'}", partitions=2)
    with pytest.raises(NotEmpty, match="2 partitions"):
        await restore(other, CODEC, tmp_path / "archive", manifest)
    await other.close()
    await source.close()


def _raw(record: RunEnded, number: int, part: int, parts: int) -> Raw:
    origin = Origin("fact", "r", "s", 1, number, part, parts)
    return CODEC.encode(record, record_id=f"{number}.{part}", origin=origin, time_ms=number, trace="0" * 32)


async def archived(log: Log, directory: Path) -> Manifest:
    files, chains = await write_records(log, directory, lambda records: None)
    manifest = Manifest(
        namespace=log.namespace,
        partitions=log.partitions,
        made_at_ms=1,
        files=tuple(files),
        ends={str(partition): chain.offset for partition, chain in chains.items()},
        chains={str(partition): chain.head.hex() for partition, chain in chains.items()},
    )
    write_manifest(directory, manifest, {})
    assert read_manifest(directory) == manifest
    check_archive(directory, manifest)
    return manifest


class Sampled:
    """A log that remembers the batches given to it, and may be written by somebody else in between."""

    namespace = "clawx"

    def __init__(self, log: Log, *, disturb: bool = False) -> None:
        self.log, self.partitions, self.disturb = log, log.partitions, disturb
        self.batches: list[Sequence[Raw]] = []
        self.starts, self.ends, self.reader, self.close = log.starts, log.ends, log.reader, log.close

    async def appender(self) -> "SampledAppender":
        return SampledAppender(self, await self.log.appender())


class SampledAppender:
    def __init__(self, sampled: Sampled, appender: Appender) -> None:
        self._sampled, self._appender = sampled, appender
        self.close = appender.close

    def append(self, partition: Partition, records: Sequence[Raw]) -> "Future[int]":
        if self._sampled.disturb and len(self._sampled.batches) == 2:
            self._appender.append(partition, [records[0]])
        self._sampled.batches.append(records)
        return self._appender.append(partition, records)


async def test_a_log_that_has_lost_its_beginning_is_not_archived(tmp_path: Path) -> None:
    class Late(StoredLog):
        async def starts(self, partitions: object) -> dict[Partition, int]:
            return dict.fromkeys(list(partitions), 3)  # type: ignore[call-overload]

    with pytest.raises(ArchiveInvalid, match="begins at 3"):
        await write_records(Late({}, 1), tmp_path, lambda records: None)


def test_a_content_that_the_archive_lost_is_missed(clawx: Clawx, archive: Path) -> None:
    for path in (archive / "blobs").rglob("*"):
        if path.is_file():
            path.unlink()
    ended = clawx("log", "import", archive)
    assert (ended.code, "sha256:" in ended.err) == (2, True)
