"""A log is signed again and again, and each time held against what was signed before."""

import json
import shutil
from pathlib import Path

import apsw
import pytest

from bus.channel import Partition
from bus.codec import Codec
from bus.log import Raw, Stored
from bus.record import Claimed, Origin
from services.audit.causality import find_orphans
from services.audit.checkpoint import AnchorInvalid, read_anchor
from services.audit.notary import ANCHOR, CHECKPOINTS, Notary, directory_of
from services.records import LANGUAGE
from services.records.task import RunEnded
from tests.bus.stored_log import StoredLog
from tests.services.audit.recorded import Recorded
from tests.services.cli.conftest import Clawx

PLACE = Partition("task", 0)
CODEC = Codec(LANGUAGE)


def records(count: int, start: int = 0) -> list[Stored]:
    return [Stored(offset, b"w", b"%d" % offset, (), offset) for offset in range(start, start + count)]


def test_each_checkpoint_names_the_one_before_also_after_a_restart(tmp_path: Path) -> None:
    notary = Notary.open("clawx", 1, tmp_path)
    assert not list(notary.take(PLACE, records(100)))
    first = notary.sign(1)
    assert not list(notary.take(PLACE, records(100, 100)))
    second = notary.sign(2)
    notary = Notary.open("clawx", 1, tmp_path)
    assert not list(notary.take(PLACE, records(250)))
    third = notary.sign(3)
    assert (first.checkpoint.previous, second.checkpoint.previous) == ("", first.checkpoint.root)
    assert third.checkpoint.previous == second.checkpoint.root
    directory = directory_of(tmp_path, "clawx")
    assert len((directory / CHECKPOINTS).read_text().splitlines()) == 3
    assert read_anchor((directory / ANCHOR).read_text().splitlines()) == third
    assert not notary.missing()
    assert Notary.open("clawx", 1, tmp_path).missing() == [PLACE]


def test_a_log_that_was_changed_since_it_was_signed_is_noticed_on_the_way(tmp_path: Path) -> None:
    notary = Notary.open("clawx", 1, tmp_path)
    assert not list(notary.take(PLACE, records(100)))
    notary.sign(1)
    assert not list(notary.take(PLACE, records(100, 100)))
    notary.sign(2)
    changed = records(300)
    changed[150] = changed[150]._replace(value=b"forged")
    assert list(Notary.open("clawx", 1, tmp_path).take(PLACE, changed)) == [200]
    changed[5] = changed[5]._replace(key=b"forged")
    assert list(Notary.open("clawx", 1, tmp_path).take(PLACE, changed)) == [100, 200]


def test_checkpoints_that_somebody_else_wrote_are_refused(tmp_path: Path) -> None:
    Notary.open("clawx", 1, tmp_path).sign(1)
    path = directory_of(tmp_path, "clawx") / CHECKPOINTS
    said = json.loads(path.read_text())
    path.write_text(json.dumps(said | {"made_at_ms": 2}) + "\n")
    with pytest.raises(AnchorInvalid, match="signature"):
        Notary.open("clawx", 1, tmp_path)


async def test_an_effect_without_its_cause_is_found() -> None:
    def put(log: list[Stored], record: Claimed | RunEnded, origin: Origin) -> None:
        raw = CODEC.encode(record, record_id="i", origin=origin, time_ms=0, trace="0" * 32)
        log.append(Stored(len(log), *Raw(*raw)))

    log: list[Stored] = []
    put(log, Claimed(role="r", session="s", epoch=1), Origin("claim", "r", "s", 1))
    ended = RunEnded(workspace_id="w", run_id="r", status="completed")
    for seq, cause in enumerate(("task/0/0", "deadline:d@1", "event/0/0", "task/0/4", "task/0/9", "nonsense")):
        put(log, ended, Origin("fact", "r", "s", 1, seq, cause=cause))
    found = [(each.at.offset, each.cause) async for each in find_orphans(StoredLog({PLACE: log}, 1), CODEC)]
    assert found == [(3, "event/0/0"), (4, "task/0/4"), (5, "task/0/9"), (6, "nonsense")]


def test_the_commands_sign_and_verify(clawx: Clawx, recorded: Recorded, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(recorded.data, data)
    missing = clawx("log", "verify")
    assert (missing.code, "`clawx log checkpoint` makes one" in missing.err) == (2, True)
    signed = json.loads(clawx("log", "checkpoint", "--out", tmp_path / "far", "--json").out)
    assert signed["heads"]["task/3"]["offset"] > 0
    key = data / "audit" / "signing.pub"
    verified = clawx("log", "verify", "--anchor", tmp_path / "far", "--key", key)
    assert (verified.code, verified.out) == (0, "")
    assert "the log is what was signed" in verified.err
    assert clawx("log", "verify", "--key", "00" * 32).code == 2
    assert clawx("log", "verify", "--key", "nobody").code == 2


def test_the_command_says_where_a_log_was_changed(clawx: Clawx, recorded: Recorded, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(recorded.data, data)
    assert clawx("log", "checkpoint").code == 0
    connection = apsw.Connection(str(data / "log" / "log.sqlite"))
    connection.execute("DELETE FROM records WHERE id = (SELECT max(id) FROM records WHERE id >> 40 = 4)")
    connection.close()
    ended = clawx("log", "verify", "--json")
    (found,) = [line for line in map(json.loads, ended.out.splitlines()) if line["kind"] != "orphan"]
    assert ended.code == 1
    assert (found["kind"], found["position"].startswith("task/3/")) == ("truncated", True)
    assert "task/3 ends before what was last signed of it" in clawx("log", "checkpoint").err
