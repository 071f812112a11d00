"""The content team: plans within its room, mends what the editor names, loses no figure, and lays it out."""

import json
from pathlib import Path

from tests.examples.chain import EXAMPLES, Outcome, load_workflow, run_stage, run_workflow

EXAMPLE = EXAMPLES / "content_team"
NOTES = (EXAMPLE / "notes.txt").read_text(encoding="utf-8")


def publish(notes: str, directory: Path) -> Outcome:
    directory.mkdir()
    return run_workflow(EXAMPLE, {"notes": notes}, directory)


def test_the_editor_sends_the_text_back_once(tmp_path: Path) -> None:
    outcome = publish(NOTES, tmp_path / "run")
    assert outcome.executed == ["plan", "write", "edit", "write", "edit", "lay_out"]
    first, second = outcome.results[2], outcome.results[4]
    assert [(problem["rule"], problem["word"]) for problem in first["problems"]] == [
        ("filler", "basically"),
        ("filler", "really"),
        ("length", ""),
        ("filler", "actually"),
        ("filler", "quite"),
    ]
    assert second == {"passed": True, "problems": []}
    assert outcome.ended == "completed"


def test_the_text_has_no_filler_and_every_figure(tmp_path: Path) -> None:
    text = publish(NOTES, tmp_path / "run").read("text")
    assert "after two years of work" in text
    assert "every Saturday morning" in text
    assert not {"basically", "really", "quite"} & set(text.split())
    assert all(figure in text for figure in ("2 June", "84 seats", "22:00", "3,120", "9,874"))


def test_the_plan_keeps_what_matters_most_within_its_room(tmp_path: Path) -> None:
    outline = json.loads(publish(NOTES, tmp_path / "run").read("outline"))
    chosen = [note for section in outline["sections"] for note in section["notes"]]
    marked = [line.partition(": ")[2] for line in NOTES.splitlines() if line.startswith("!")]
    assert set(marked) <= set(chosen)
    assert sum(len(note.split()) for note in chosen) <= 110
    assert len(chosen) + len(outline["left_out"]) == len(NOTES.splitlines()) - 1


def test_page_and_mail_carry_the_same_words(tmp_path: Path) -> None:
    outcome = publish("# 新闻 <b>\n! one: A & B met.\n", tmp_path / "run")
    assert "<h1>新闻 &lt;b&gt;</h1>" in outcome.read("page")
    assert '<p class="lead">A &amp; B met.</p>' in outcome.read("page")
    assert outcome.read("mail").splitlines() == ["新闻 <b>", "======", "", "One", "---", "", "A & B met.", ""][:7]
    assert all(len(line) <= 66 for line in publish(NOTES, tmp_path / "other").read("mail").splitlines())


def test_what_the_creator_cannot_mend_is_said_on_the_page(tmp_path: Path) -> None:
    endless = "one: " + "word " * 30 + "end.\n"
    outcome = publish(f"# Title\n{endless}", tmp_path / "run")
    assert not outcome.results[4]["passed"]
    assert outcome.executed[-1] == "lay_out"
    assert "The editor still has 1 remarks on this text." in outcome.read("page")


def test_unclear_notes_are_refused_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("# Title\nno topic here\n", encoding="utf-8")
    answer = run_stage(EXAMPLE, load_workflow(EXAMPLE).stages[0], {"notes": tmp_path / "notes"}, tmp_path / "run")
    assert answer.exit_code == 1
    assert answer.envelope["error"] == "line 2 is not a note such as `! topic: text`: no topic here"
