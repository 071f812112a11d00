"""A run whose stages a model works on, from the command line to its outputs, with a person at the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.services.cli.conftest import Clawx
from tests.services.factory.agents.endpoint import say, serving

KEY = "key-of-the-command-line-test"

WORKFLOW = """
id: letter
name: A letter
stages:
  - {id: write, profession: technical_writer, agent: model, input: [topic], output: [text], next: [check],
     instructions: Write a letter on the topic.}
  - {id: check, profession: qa_engineer, agent: model, input: [text], output: [report], with: {model: other},
     next: [{to: write, when: "!result.passed", max_times: 2}, {to: done, else: true}]}
  - {id: done, kind: end, end: {status: completed}}
"""


def test_a_model_writes_and_checks(clawx: Clawx, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai", reason="the extra `model` is not installed")
    file = tmp_path / "letter.yaml"
    file.write_text(WORKFLOW, encoding="utf-8")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("CLAWX_SECRETS", "OPENAI_API_KEY")
    no, yes = ('{}\n```json\n{{"passed": {}}}\n```'.format("Read.", word) for word in ("false", "true"))
    with serving(say("Dear all"), say(no), say("Dear everybody"), say(yes)) as endpoint:
        monkeypatch.setenv("CLAWX_MODEL_URL", endpoint.url)
        ended = clawx("run", file, "--input", "topic=rain", "--json")
    assert ended.code == 0, ended.err
    result = json.loads(ended.out.splitlines()[-1])
    assert [each["id"] for each in result["stages"]] == ["write", "check", "write", "check", "done"]
    assert Path(result["outputs"]["text"]["path"]).read_text() == "Dear everybody"
    models = [request.body["model"] for request in endpoint.requests]
    assert models == ["gpt-4", "other", "gpt-4", "other"], "that of the profession, unless the stage names one"
    system, user = endpoint.requests[0].body["messages"]
    assert "technical_writer" not in user["content"]
    assert "Technical Writer" in system["content"]
    assert "Write a letter on the topic." in user["content"]
    assert "rain" in user["content"]
    assert {request.headers["authorization"] for request in endpoint.requests} == {f"Bearer {KEY}"}
    kept = [place for place in data.rglob("*") if place.is_file() and KEY.encode() in place.read_bytes()]
    assert kept == []
    assert KEY not in ended.out + ended.err
