"""The schemas as files are what the record classes say."""

from pathlib import Path

import pytest

from bus.codec import Codec, schemas
from bus.errors import Refused
from bus.record import Ask, Record
from services.cli.schemas import compare_schemas, write_schemas
from services.records.releases import Release, broken_promises, next_release, read_releases, schema_directory
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


def test_a_released_schema_holds_every_later_change_to_itself(clawx: Clawx, tmp_path: Path) -> None:
    assert clawx("schemas", "release", "1.0.0", tmp_path).code == 1, "nothing is exported there yet"
    list(write_schemas(tmp_path))
    assert clawx("schemas", "release", "1.0.0", tmp_path).code == 0
    assert clawx("schemas", "release", "1.0.0", tmp_path).code == 2
    assert clawx("schemas", "release", "1.0.1", tmp_path).code == 0
    first, second = read_releases(tmp_path)
    assert (first.version, second.version, second.schemas) == ("1.0.0", "1.0.1", {})
    assert "task/RunRequested" in first.schemas
    assert clawx("schemas", "check", tmp_path).code == 0
    changed = dict(first.schemas["task/RunRequested"])
    changed["fields"] = [*changed["fields"], {"name": "vital", "type": "string"}]
    lines = [Release("0.9.0", {"task/RunRequested": changed, "task/Forgotten": changed}).line(), first.line()]
    (tmp_path / "RELEASED").write_text("".join(lines))
    ended = clawx("schemas", "check", tmp_path)
    assert ended.code == 1
    assert "task/RunRequested as of 0.9.0: old code cannot read new records: RunRequested.vital" in ended.err
    assert "task/Forgotten was released in 0.9.0 and is gone" in ended.err
    (tmp_path / "RELEASED").write_text("1.0.0\n")
    with pytest.raises(Refused, match="is no list of releases"):
        read_releases(tmp_path)


def noted(*, moody: bool) -> type[Record]:
    if moody:

        class Noted(Ask, channel="task"):
            workspace_id: str
            mood: str = ""

    else:

        class Noted(Ask, channel="task"):  # type: ignore[no-redef]
            workspace_id: str

    return Noted


def test_a_release_has_only_what_is_new_in_it_and_both_are_kept_to() -> None:
    old, new = (schemas_of(noted(moody=moody)) for moody in (False, True))
    first = next_release("1", old, ())
    second = next_release("2", new, (first,))
    assert set(second.schemas) == {"task/Noted"}
    assert not list(broken_promises(new, (first, second)))
    assert not list(broken_promises(old, (first, second)))
    codec = Codec(
        (noted(moody=True),), older=[each for release in (first, second) for each in release.schemas.values()]
    )
    assert set(codec.types) == {"Noted", "Claimed", "Heard", "InputQuarantined", "PostAcknowledged"}


def schemas_of(kind: type[Record]) -> dict[str, object]:
    return dict(schemas((kind,)))
