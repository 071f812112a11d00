"""Outputs become files that a person can open, each under a name of its own, whole or not at all."""

from pathlib import Path

import pytest

from bus.blobs import DirectoryBlobs
from services.cli.failure import Wrong
from services.cli.outputs import file_name, write_outputs
from services.records.content import Artifact
from tests.services.audit.story import artifact


def named(name: str, media_type: str = "text/plain") -> Artifact:
    return artifact(name).model_copy(update={"media_type": media_type})


@pytest.mark.parametrize(
    ("name", "media_type", "expected"),
    [
        ("report", "text/html", "report.html"),
        ("report.html", "text/html; charset=utf-8", "report.html"),
        ("notes", "text/markdown", "notes.md"),
        ("data", "application/octet-stream", "data"),
        ("workspace:plan", "application/json", "workspace_plan.json"),
        ("../../etc/passwd", "text/plain", "_.._etc_passwd.txt"),
        ("报告", "image/svg+xml", "报告.svg"),
    ],
)
def test_a_name_fits_the_file_system_and_the_content(name: str, media_type: str, expected: str) -> None:
    assert file_name(named(name, media_type)) == expected


async def test_small_and_big_contents_are_written_to_the_byte(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path / "blobs")
    big = bytes(100_000)
    stored = named("big").model_copy(update={"digest": await blobs.put(big), "size": len(big), "inline": None})
    paths = await write_outputs([named("small"), stored], blobs, tmp_path / "out")
    assert _contents(paths) == {"small": b"x", "big": big}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["big.txt", "small.txt"]


def _contents(paths: dict[str, str]) -> dict[str, bytes]:
    return {name: Path(path).read_bytes() for name, path in paths.items()}


async def test_names_that_come_out_alike_stay_apart(tmp_path: Path) -> None:
    paths = await write_outputs([named("a:b"), named("a_b")], DirectoryBlobs(tmp_path), tmp_path / "out")
    assert len(set(paths.values())) == 2


async def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Wrong, match="cannot be written: File exists; give another place with --out"):
        await write_outputs([named("a")], DirectoryBlobs(tmp_path), tmp_path / "file")
