"""`clawx professions match` ranks professions, and answers a file line by line or not at all."""

import json
from pathlib import Path

from tests.services.cli.program import started

LINES = [
    {"id": "a", "text": "编写接口自动化用例，接入每日回归", "lang": "zh"},
    {"id": 2, "skills": ["penetration testing", "incident response"], "among": ["qa_engineer", "security_engineer"]},
]


def test_each_line_of_a_file_is_answered(tmp_path: Path) -> None:
    batch = tmp_path / "tasks.jsonl"
    batch.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in LINES), encoding="utf-8")
    with started("professions", "match", "--batch", str(batch), "--json", data=tmp_path / "data") as program:
        assert program.end() == 0, program.said
    first, second = [json.loads(line) for line in program.lines]
    assert (first["id"], first["ranked"][0], first["accepted"], len(first["ranked"])) == ("a", "qa_engineer", True, 16)
    assert (second["id"], second["ranked"]) == (2, ["security_engineer", "qa_engineer"])
    assert set(first) == {"id", "ranked", "accepted", "score"}


def test_a_line_that_is_no_task_is_named_and_nothing_is_answered(tmp_path: Path) -> None:
    batch = tmp_path / "tasks.jsonl"
    batch.write_text(json.dumps(LINES[0]) + '\n{"id": 3, "text": "x", "among": ["nobody"]}\n')
    with started("professions", "match", "--batch", str(batch), data=tmp_path / "data") as program:
        assert (program.end(), program.lines) == (2, [])
    assert "line 2: among: the profession `nobody` is not known" in program.said[-1]
