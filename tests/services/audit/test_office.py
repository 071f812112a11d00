"""The audit as a process of its own, beside the one that owns the log."""

import json
import shutil
import signal
from pathlib import Path

import pytest
from sqlalchemy import func, select

from services.audit import tables
from services.audit.database import open_database
from services.audit.read_model import ReadModel
from tests.eventually import eventually_blocking
from tests.services.audit.recorded import CHAIN, Recorded
from tests.services.cli.conftest import Clawx
from tests.services.cli.program import run, started


@pytest.fixture
def copied(recorded: Recorded, data: Path) -> Path:
    shutil.copytree(recorded.data, data)
    return data


def test_it_catches_up_follows_signs_and_ends_in_order(copied: Path, clawx: Clawx, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'model.sqlite'}"
    engine = open_database(database)

    def completed() -> int:
        with engine.connect() as connection:
            statement = select(func.count()).select_from(tables.runs).where(tables.runs.c.status == "completed")
            return int(connection.execute(statement).scalar_one())

    with started("service", "audit", "--database", database, "--json", data=copied) as audit:
        eventually_blocking(lambda: audit.lines, 30)
        said = json.loads(audit.lines[0])
        assert (said["service"], said["findings"], said["lag"]) == ("audit", 0, 0)
        assert completed() == 2
        (tmp_path / "more.yaml").write_text(CHAIN)
        assert run("run", str(tmp_path / "more.yaml"), "--json", data=copied).last_json()["status"] == "completed"
        eventually_blocking(lambda: completed() == 3, 10)
        audit.interrupt(signal.SIGTERM)
        assert audit.end() == 0, audit.said
    engine.dispose()
    verified = clawx("log", "verify", "--key", copied / "audit" / "signing.pub")
    assert (verified.code, verified.out) == (0, "")


def test_it_ends_with_a_sentence_where_the_database_is_of_another_log(copied: Path, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'model.sqlite'}"
    engine = open_database(database)
    ReadModel(engine, "lab", 8).prepare()
    engine.dispose()
    ended = run("service", "audit", "--database", database, data=copied)
    assert ended.process.returncode == 1
    assert any("holds the namespace 'lab' with 8 partitions" in line for line in ended.said)


def test_a_database_that_is_none_is_refused(clawx: Clawx, copied: Path) -> None:
    ended = clawx("service", "audit", "--database", "nonsense")
    assert (ended.code, "names no database" in ended.err) == (2, True)
