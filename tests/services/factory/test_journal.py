"""The journal tells a later life what was open, whenever this one ends."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import Unavailable
from services.factory import journal as journal_module
from services.factory.journal import JOURNAL, Journal, JournalDamaged
from services.factory.lock import DirectoryLock

State = tuple[object, ...]


def state(journal: Journal) -> State:
    return (
        journal.sessions,
        journal.boot,
        dict(journal.launcher),
        journal.places,
        dict(journal.instances),
        dict(journal.attempts),
        dict(journal.reports),
    )


def fill(journal: Journal) -> None:
    journal.write("session", "s1", boot="b", durable=True)
    journal.write("launcher", pid=1, born=2)
    journal.write("instance", "i1", incarnation=1)
    journal.write("instance", "i1", incarnation=1, pid=7)
    journal.write("instance", "i2", incarnation=1)
    journal.write("attempt", "a1", order={"x": "ü"})
    journal.write("attempt", "a2", order={})
    journal.write("report", "r1", at="task/0")
    journal.write("places", places={"task/0": {"offset": 3}})
    journal.write("ended", "a1")
    journal.write("gone", "i2")
    journal.write("report", "r2", at="task/0")
    journal.write("sent", "r1")


def test_a_later_life_knows_what_was_open(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    fill(journal)
    again = Journal(tmp_path)
    assert state(again) == state(journal)
    assert again.instances == {"i1": {"is": "instance", "id": "i1", "incarnation": 1, "pid": 7}}
    assert (list(again.attempts), list(again.reports), again.sessions) == (["a2"], ["r2"], ["s1"])
    journal.close()
    again.close()


def test_what_a_crash_cut_off_is_dropped_and_nothing_else(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    fill(journal)
    journal.close()
    whole = (tmp_path / JOURNAL).read_bytes()
    ends = [at + 1 for at, byte in enumerate(whole) if byte == ord("\n")]
    known: dict[int, State] = {}
    for length in sorted({*range(0, len(whole), 13), *ends, *(end - 1 for end in ends)}):
        (tmp_path / JOURNAL).write_bytes(whole[:length])
        cut = Journal(tmp_path)
        cut.close()
        lines = sum(end <= length for end in ends)
        assert known.setdefault(lines, state(cut)) == state(cut)
    assert known[len(ends)] == state(journal)


def test_it_does_not_grow_with_what_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "LINES_MAX", 100)
    journal = Journal(tmp_path)
    fill(journal)
    for number in range(500):
        journal.write("attempt", f"x{number}", order={"text": "y" * 100})
        journal.write("ended", f"x{number}")
    expected = state(journal)
    journal.close()
    assert len((tmp_path / JOURNAL).read_bytes().splitlines()) < 120
    again = Journal(tmp_path)
    again.close()
    assert state(again) == expected


def test_it_remembers_some_sessions_and_not_all(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(100):
        journal.write("session", f"s{number}", boot=f"b{number}")
    journal.close()
    again = Journal(tmp_path)
    again.close()
    assert (again.sessions[-1], again.boot, len(again.sessions)) == ("s99", "b99", 16)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, found: bytes) -> None:
    directory = tmp_path_factory.mktemp("journal")
    (directory / JOURNAL).write_bytes(found)
    try:
        Journal(directory).close()
    except JournalDamaged as error:
        assert "by hand" in str(error)  # noqa: PT017 -- most of these bytes are refused, not all


def test_while_the_disk_is_full_entries_wait_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, room = os.write, 1_000_000

    def write_some(descriptor: int, data: bytes) -> int:
        nonlocal room
        if room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(descriptor, data[:room])
        room -= written
        return written

    journal = Journal(tmp_path)
    monkeypatch.setattr(journal_module.os, "write", write_some)
    journal.write("session", "s1", boot="b")
    room = 20
    for number in range(3):
        journal.write("attempt", f"a{number}", order={})
    cut = Journal(shutil.copytree(tmp_path, tmp_path / "copy"))
    assert (cut.sessions, dict(cut.attempts)) == (["s1"], {}), "a line that is cut off is dropped"
    cut.close()
    room = 1_000_000
    journal.write("ended", "a1")
    journal.close()
    again = Journal(tmp_path)
    again.close()
    assert list(again.attempts) == ["a0", "a2"]


def test_a_directory_in_which_nothing_can_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match=r"a node cannot work in .*: Not a directory"):
        DirectoryLock.take(tmp_path / "file" / "node")
