"""The tables are the log: rebuilt or live, crashed or not, in either database."""

import asyncio
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, select

from bus.address import view_log
from bus.channel import STATE_CHANNELS, Partition
from bus.errors import Refused
from bus.log import Stored
from services.audit import read_model as read_model_module
from services.audit import tables
from services.audit.batch import Projector
from services.audit.database import json_text, open_database, show_url
from services.audit.following import Follower
from services.audit.instances import LIVED, fold_instances
from services.audit.progress import WATCHED, Progress
from services.audit.read_model import ProjectedElsewhere, ReadModel
from services.audit.runs import LISTED, fold_runs
from services.records import language_codec
from tests.bus.stored_log import StoredLog
from tests.services.audit.languages import partitions_of
from tests.services.audit.projecting import CODEC, Records, model_of, project, write
from tests.services.audit.recorded import Recorded, read_all
from tests.tidy.source_tree import ROOT


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'audit' / 'model.sqlite'}"
    return str(request.getfixturevalue("database"))


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_database(url)
    yield engine
    engine.dispose()


def content(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, in the order of their keys."""
    found = {}
    with engine.connect() as connection:
        for table in (*tables.PROJECTED, tables.records, tables.positions):
            keys = list(table.primary_key)
            rows = [tuple(row) for row in connection.execute(select(table))]
            width = [list(table.columns).index(key) for key in keys]
            found[table.name] = sorted(rows, key=lambda row: [str(row[at]) for at in width])
    return found


@pytest.fixture(scope="module")
def written() -> Records:
    return write()


def test_rebuilt_it_equals_the_one_that_grew_with_the_log(engine: Engine, written: Records) -> None:
    rng = random.Random(9)
    model = model_of(engine, written)
    project(model, written, rng, most=9)
    grown = content(engine)
    assert all(grown[table.name] for table in tables.PROJECTED), "a table that nothing is written to proves nothing"
    model.drop()
    model = model_of(engine, written)
    project(model, written)
    assert content(engine) == grown


def test_both_databases_hold_the_same(written: Records, tmp_path: Path, database: str) -> None:
    contents = []
    for url in (f"sqlite:///{tmp_path / 'model.sqlite'}", database):
        engine = open_database(url)
        project(model_of(engine, written), written)
        contents.append(content(engine))
        engine.dispose()
    assert contents[0] == contents[1]


def test_every_record_is_there_with_whether_it_counts(engine: Engine, written: Records) -> None:
    project(model_of(engine, written), written)
    rows = content(engine)["records"]
    assert len(rows) == sum(map(len, written.values()))
    by_place = {(row[0], row[1], row[2]): row for row in rows}
    for partition, log in written.items():
        for stored in log:
            row = by_place[(*partition, stored.offset)]
            headers = dict(stored.headers)
            origin = headers.get("clawx", b"").decode().split("|")
            assert row[3] == (len(origin) > 1 and origin[2] == "s")
            assert (row[4] or "") == (headers["ce_type"].decode() if len(origin) > 1 else "")
            assert (row[12] is None) == (row[13] is not None)


def test_a_crash_in_the_middle_of_a_batch_leaves_nothing_of_it(engine: Engine, written: Records) -> None:
    model = model_of(engine, written)
    first = {partition: log[:50] for partition, log in written.items()}
    project(model, first)
    before = content(engine)

    class Failing:
        def insert(self, *arguments: Any) -> None:
            writer.insert(*arguments)

        def upsert(self, *arguments: Any) -> None:
            writer.upsert(*arguments)
            raise KeyboardInterrupt

    writer, model._writer = model._writer, Failing()
    with pytest.raises(KeyboardInterrupt):
        project(model, written)
    assert content(engine) == before
    project(again := model_of(engine, written), written)
    again_content = content(engine)
    again.drop()
    project(model_of(engine, written), written)
    assert again_content == content(engine)


def test_of_two_that_project_the_same_one_is_told_and_nothing_is_doubled(engine: Engine, written: Records) -> None:
    model = model_of(engine, written)
    partition = Partition("task", 0)
    ours, theirs = (Projector(CODEC, model.places()) for _ in range(2))
    model.apply(ours.make({partition: written[partition][:10]}))
    with pytest.raises(ProjectedElsewhere, match="does not stand at 0 any more"):
        model.apply(theirs.make({partition: written[partition][:10]}))
    assert len(content(engine)["records"]) == 10


def test_a_database_of_another_log_is_refused(engine: Engine) -> None:
    ReadModel(engine, "clawx", 2).prepare()
    ReadModel(engine, "clawx", 2).prepare()
    for other in (ReadModel(engine, "lab", 2), ReadModel(engine, "clawx", 3)):
        with pytest.raises(ProjectedElsewhere, match="holds the namespace 'clawx' with 2 partitions"):
            other.prepare()


def test_what_another_version_made_is_made_anew(
    engine: Engine, written: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(model_of(engine, written), written)
    expected = content(engine)
    monkeypatch.setattr(read_model_module, "PROJECTION", tables.PROJECTION + 1)
    model = model_of(engine, written)
    assert not content(engine)["runs"]
    assert {place.offset for place in model.places().values()} == {0}
    project(model, written)
    assert content(engine) == expected


def test_the_migrations_lead_to_the_tables_and_back(engine: Engine) -> None:
    model = ReadModel(engine, "clawx", 1)
    model.prepare()
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
        assert context.get_current_revision() == "0002"
    model.drop()
    with engine.begin() as connection:
        assert not engine.dialect.get_table_names(connection)
        read_model_module._migrate(connection)
        config = Config()
        config.set_main_option("script_location", str(ROOT / "services" / "audit" / "migrations"))
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert engine.dialect.get_table_names(connection) == ["alembic_version"]


def test_the_lag_is_what_stands_in_the_log_and_in_no_row(engine: Engine, written: Records) -> None:
    model = model_of(engine, written)
    ends = {partition: len(log) for partition, log in written.items()}
    model.note_ends(ends)
    assert model.lag() == sum(ends.values())
    project(model, {partition: log[:10] for partition, log in written.items()})
    assert model.lag() == sum(ends.values()) - 10 * len(written)
    project(model, written)
    assert model.lag() == 0


async def test_rows_tell_what_the_folds_tell(engine: Engine, recorded: Recorded) -> None:
    """Held against the folds that commands print from, which share no code with it."""
    log = await view_log(recorded.url)
    records = await read_all(log, STATE_CHANNELS)
    await log.close()
    codec = language_codec()
    project(model_of(engine, records), records)
    envelopes = [
        codec.decode(stored, peek, partition)
        for partition, stored_log in records.items()
        for stored in stored_log
        if (peek := codec.peek(stored)).origin.kind == "fact"
    ]
    with engine.connect() as connection:
        runs = {row.run_id: row for row in connection.execute(select(tables.runs))}
        instances = {row.instance_id: row for row in connection.execute(select(tables.instances))}
        stages = list(connection.execute(select(tables.stages)))
        attempts = list(connection.execute(select(tables.attempts)))
        artifacts = list(connection.execute(select(tables.artifacts)))
    listed = fold_runs(e for e in envelopes if isinstance(e.record, LISTED))
    assert {r.run_id: (r.status, r.started_at_ms, r.ended_at_ms) for r in listed.values()} == {
        name: (row.status, row.started_at, row.ended_at) for name, row in runs.items()
    }
    lived = fold_instances(e for e in envelopes if isinstance(e.record, LIVED))
    assert {i.instance_id: (i.status, i.node_id) for i in lived.values()} == {
        name: (row.status, row.node_id) for name, row in instances.items()
    }
    for run_id in (recorded.chain, recorded.again, recorded.doomed):
        progress = Progress(run_id)
        for envelope in envelopes:
            if isinstance(envelope.record, WATCHED):
                progress.apply(envelope)
        assert {(*e.key, e.status, e.attempts, e.ended_at_ms) for e in progress.executions.values()} == {
            (s.stage, s.execution, s.item, s.status, s.attempts, s.ended_at) for s in stages if s.run_id == run_id
        }
        written = {(name, a.version, a.digest) for name, a in progress.artifacts.items()}
        assert written == {(a.name, a.version, a.digest) for a in artifacts if a.owner == f"run:{run_id}"}
    assert sorted(each.status for each in attempts if each.run_id == recorded.chain) == [
        "completed",
        "completed",
        "completed",
        "failed",
    ]


async def test_the_follower_keeps_up_and_goes_on_where_it_was(url: str, written: Records) -> None:
    engine = open_database(url)
    half = {partition: list(log[: len(log) // 2]) for partition, log in written.items()}
    for stage in (half, written):
        follower = Follower(Growing(stage), CODEC, ReadModel(engine, "clawx", 2))
        task = asyncio.create_task(follower.run())
        async with asyncio.timeout(120):
            await follower.caught_up.wait()
        assert follower.lag == 0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    followed = content(engine)
    assert len(followed["records"]) == sum(map(len, written.values()))
    model = ReadModel(engine, "clawx", 2)
    model.drop()
    project(model_of(engine, written), written)
    assert without_ends(content(engine)) == without_ends(followed)
    engine.dispose()


def without_ends(content: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    at = [column.name for column in tables.positions.columns].index("log_end")
    return content | {"positions": [(*row[:at], *row[at + 1 :]) for row in content["positions"]]}


class Growing(StoredLog):
    """A log at whose end a reader waits."""

    def __init__(self, records: Records) -> None:
        super().__init__(records, partitions_of(records))

    async def reader(self, positions: Mapping[Partition, int]) -> "GrowingReader":  # type: ignore[override]
        return GrowingReader(self.records, dict(positions))


class GrowingReader:
    def __init__(self, records: Records, positions: dict[Partition, int]) -> None:
        self._records, self._positions = records, positions

    def seek(self, positions: Mapping[Partition, int]) -> None:
        self._positions |= positions

    def drop(self, partitions: Any) -> None:
        pass

    async def read(self, *, records_max: int = 1000, wait_ms: int = 1000) -> dict[Partition, Sequence[Stored]]:
        found = {}
        for partition, position in self._positions.items():
            if chunk := self._records.get(partition, ())[position : position + 37]:
                found[partition] = chunk
                self._positions[partition] += len(chunk)
        if not found:
            await asyncio.Event().wait()
        return found

    async def close(self) -> None:
        pass


KILLS = 2


async def test_killed_again_and_again_it_loses_and_doubles_nothing(url: str, written: Records) -> None:
    rng, exits = random.Random(3), []
    for batches in (*(rng.randint(1, 15) for _ in range(KILLS)), 0):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.services.audit.projecting", url, stdout=subprocess.PIPE, cwd=ROOT
        )
        assert process.stdout is not None
        for _ in range(batches):
            assert await process.stdout.readline() == b"a batch\n"
        if batches:
            process.kill()
        await process.communicate()
        exits.append(process.returncode)
    assert exits == [*[-9] * KILLS, 0]
    engine = open_database(url)
    survived = content(engine)
    ReadModel(engine, "clawx", 2).drop()
    project(model_of(engine, written), written)
    assert survived == content(engine)
    engine.dispose()


def test_texts_that_a_database_cannot_hold_are_replaced() -> None:
    assert json_text('"a\\u0000b"') == '"a\\ufffdb"'
    assert json_text('"\\\\u0000"') == '"\\\\u0000"'
    assert json_text('"\\\\\\u0000"') == '"\\\\\\ufffd"'


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/name", "postgresql://host", "kafka://host:1"])
def test_urls_that_name_no_database_are_refused(url: str) -> None:
    with pytest.raises(Refused, match="names no database"):
        open_database(url)


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    assert "secret" not in show_url(open_database("postgresql://me:secret@localhost/name"))
    with pytest.raises(Refused) as refused:
        open_database("mysql://me:secret@localhost/name")
    assert "secret" not in str(refused.value)
