"""The schemas as files are what the record classes say."""

from pathlib import Path

from services.cli.schemas import compare_schemas, schema_directory, write_schemas
from tests.services.cli.conftest import Clawx


def test_the_committed_schemas_are_those_of_the_record_classes() -> None:
    assert not list(compare_schemas(schema_directory())), "run `make schemas` and commit what it changes"


def test_what_was_exported_is_found_the_same_and_every_change_is_found(clawx: Clawx, tmp_path: Path) -> None:
    assert "task/RunRequested.avsc" in list(write_schemas(tmp_path))
    assert clawx("schemas", "check", tmp_path).code == 0
    (tmp_path / "task" / "RunEnded.avsc").write_text("{}")
    (tmp_path / "task" / "RunStarted.avsc").unlink()
    (tmp_path / "data" / "Nonsense.avsc").write_text("{}")
    changed = ["data/Nonsense.avsc", "task/RunEnded.avsc", "task/RunStarted.avsc"]
    assert list(compare_schemas(tmp_path)) == changed
    ended = clawx("schemas", "check", tmp_path)
    assert ended.code == 1
    assert all(name in ended.err for name in changed)
    assert list(write_schemas(tmp_path)) == changed
    assert not list(compare_schemas(tmp_path))
