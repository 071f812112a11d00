"""Logs of every feature, recorded once, must replay for ever: today's code decides what was decided then."""

import json
import tarfile
from pathlib import Path

import pytest

from services.records.releases import RELEASED, read_releases, schema_directory
from tests.histories import recording
from tests.histories.features import FEATURES, Feature
from tests.histories.recording import RecordingFailed, digest_of, freeze, frozen, histories, main
from tests.services.cli.conftest import Clawx, clawx, data

__all__ = ["clawx", "data"]

SMALL_BYTES = 128 * 1024


def put_back(clawx: Clawx, path: Path, directory: Path) -> None:
    with tarfile.open(path) as packed:
        packed.extractall(directory, filter="data")
    ended = clawx("log", "import", directory)
    assert ended.code == 0, ended.err


@pytest.mark.parametrize("path", histories().values(), ids=histories().keys())
def test_a_history_replays_with_the_code_of_today(path: Path, clawx: Clawx, tmp_path: Path) -> None:
    put_back(clawx, path, tmp_path / "archive")
    ended = clawx("replay", "--json")
    outcome = json.loads(ended.out.splitlines()[-1])
    assert ended.code == 0, ended.out
    assert (outcome["differing"], outcome["speaking"], outcome["unheard"]) == (0, 0, 0)
    assert outcome["decisions"] > 10
    assert path.stat().st_size < SMALL_BYTES


def test_every_feature_has_its_history_and_shows_its_run() -> None:
    assert histories().keys() >= FEATURES.keys(), "run `make histories`"


def test_a_history_is_that_of_its_feature(clawx: Clawx, tmp_path: Path) -> None:
    put_back(clawx, histories()["map"], tmp_path / "archive")
    (line, *_) = clawx("workflows", "list", "--json").out.splitlines()
    run_id = json.loads(line)["run_id"]
    shown = json.loads(clawx("workflows", "show", run_id, "--json").out)
    assert shown["status"] == "completed"
    assert sum("item" in stage for stage in shown["stages"]) == 3


def test_a_decider_that_decides_otherwise_is_caught(clawx: Clawx, tmp_path: Path) -> None:
    import services.orchestrator.ending as ending

    put_back(clawx, histories()["retries"], tmp_path / "archive")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ending, "retry_at", lambda *arguments: 0)
        assert clawx("replay").code == 1
    assert clawx("replay").code == 0


def test_no_released_history_has_changed_or_is_gone() -> None:
    found = {name: digest_of(path) for name, path in histories().items()}
    for version, kept in frozen().items():
        changed = [name for name, digest in kept.items() if found.get(name) != digest]
        assert not changed, f"{version} declared these, they may never change: {changed}"


def test_a_release_declares_schemas_and_histories_together() -> None:
    released = {release.version for release in read_releases(schema_directory())}
    assert released == frozen().keys(), f"`make release` writes both schemas/{RELEASED} and tests/histories/FROZEN"


def test_what_was_frozen_is_not_recorded_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(recording, "HERE", tmp_path)
    monkeypatch.setattr(recording, "FROZEN", tmp_path / "FROZEN")
    monkeypatch.setattr(recording, "FEATURES", {"old": Feature(flow=""), "new": Feature(flow="")})
    made: list[str] = []

    def record(name: str, feature: Feature) -> Path:
        made.append(name)
        (tmp_path / f"{name}.tar.xz").write_text(name)
        return tmp_path / f"{name}.tar.xz"

    monkeypatch.setattr(recording, "record", record)
    main(["old"])
    freeze("1.0.0")
    assert frozen() == {"1.0.0": {"old": digest_of(tmp_path / "old.tar.xz")}}
    main([])
    assert made == ["old", "new"]
    with pytest.raises(RecordingFailed, match="old was released"):
        main(["old"])
    with pytest.raises(RecordingFailed, match=r"1\.0\.0 was released before"):
        freeze("1.0.0")
    freeze("1.1.0")
    assert frozen()["1.1.0"].keys() == {"new"}
