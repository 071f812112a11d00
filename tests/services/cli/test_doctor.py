"""The doctor says what is there and what is missing, and fails only over what is needed."""

import json
import socket
from pathlib import Path

import pytest

from services.cli import examination
from services.factory.agents.catalogue import AGENTS
from tests.services.cli.conftest import Clawx


def findings(out: str) -> dict[str, dict[str, object]]:
    return {found["check"]: found for found in map(json.loads, out.splitlines())}


def test_a_sound_machine_is_told_check_by_check(clawx: Clawx, data: Path) -> None:
    ended = clawx("doctor", "--json")
    found = findings(ended.out)
    assert ended.code == 0
    assert {"python", "clawx", "data", "blobs", "log", "process", "bubblewrap", "docker", "cgroups"} <= set(found)
    assert {f"agent {name}" for name in (*AGENTS, "human")} <= set(found)
    assert all(set(each) == {"check", "ok", "needed", "detail"} for each in found.values())
    assert not data.exists()


def test_a_missing_package_is_named_and_fails(clawx: Clawx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "PACKAGES", ("no-such-package",))
    ended = clawx("doctor")
    assert ended.code == 1
    assert "MISSING  no-such-package" in ended.out


def test_a_directory_that_cannot_be_written_fails(clawx: Clawx, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = clawx("doctor", "--json", "--data", tmp_path / "file" / "data")
    assert ended.code == 1
    assert findings(ended.out)["data"]["ok"] is False


def test_a_broker_that_does_not_answer_fails_the_health_check(clawx: Clawx) -> None:
    pytest.importorskip("aiokafka", reason="the Kafka extra is not installed")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    ended = clawx("doctor", "--quick", "--json", "--bus", f"kafka://127.0.0.1:{port}")
    assert ended.code == 1
    assert list(findings(ended.out)) == ["log"]


def test_a_gateway_that_does_not_answer_fails(clawx: Clawx) -> None:
    ended = clawx("doctor", "--quick", "--server", "http://127.0.0.1:9")
    assert ended.code == 1
    assert "http://127.0.0.1:9 does not answer" in ended.out


def test_agents_that_cannot_work_here_say_why(clawx: Clawx, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "codex"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CLAWX_SECRETS", "OPENAI_API_KEY")
    found = findings(clawx("doctor", "--json").out)
    assert found["agent codex"]["ok"]
    assert found["agent codex"]["detail"] == f"{program}; key OPENAI_API_KEY"
    assert not found["agent claude"]["ok"]
    assert "claude is not on the path" in str(found["agent claude"]["detail"])
    assert "keeps no worker to the hosts" in str(found["process"]["detail"])
