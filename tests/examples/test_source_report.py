"""The source report, run by hand over many trees: its loop is seen, its figures are true, its editor is awake."""

import ast
import io
import json
import re
import shutil
import subprocess
import tokenize
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.examples.chain import EXAMPLES, Answer, Outcome, load_workflow, run_program, run_stage, run_workflow
from tests.examples.source_trees import make_empty_tree, make_odd_tree, make_repository, make_script_tree, run_git

EXAMPLE = EXAMPLES / "source_report"
LARGEST_READ_BYTES = 2 * 1024 * 1024
WHOLE_LOOP = ["collect", "analyse", "write", "edit", "write", "edit"]


def report_on(tree: Path, directory: Path) -> Outcome:
    directory.mkdir()
    return run_workflow(EXAMPLE, {"tree": str(tree)}, directory)


def read_figures(page: str) -> dict[str, str]:
    """What the page shows, by the source that it names; read apart from the programs."""
    found = re.findall(r'<data value="[^"]*" data-of="([^"]+)">([^<]*)</data>', page)
    return {source: unescape(text).replace(",", "") for source, text in found}


@pytest.fixture(scope="module")
def this_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As committed: others may be at work in the tree itself."""
    clone = tmp_path_factory.mktemp("clone") / "tree"
    run_git(EXAMPLES.parent, "clone", "--quiet", "--no-hardlinks", str(EXAMPLES.parent), str(clone))
    return clone


@pytest.fixture(scope="module")
def outcome(this_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return report_on(this_repository, tmp_path_factory.mktemp("report") / "run")


def test_the_editor_sends_the_first_draft_back_and_passes_the_second(outcome: Outcome) -> None:
    assert outcome.executed == WHOLE_LOOP
    assert outcome.ended == "completed"
    first, second = outcome.results[3], outcome.results[5]
    assert not first["passed"]
    assert {problem["rule"] for problem in first["problems"]} == {"summary", "sentence-length"}
    assert (second["passed"], second["problems"]) == (True, [])
    assert outcome.results[4]["mended"] == ["sentence-length", "summary"]
    summary = outcome.read("final_report").partition('id="summary"')[2].partition("</section>")[0]
    assert "This is a tree of" in summary
    assert "What to do first" in summary
    assert "open-problems" not in outcome.read("final_report").partition("</style>")[2]


def test_the_figures_of_the_report_equal_an_independent_count(outcome: Outcome, this_repository: Path) -> None:
    shown = read_figures(outcome.read("final_report"))
    found = this_repository.rglob("*")
    paths = [path for path in found if path.is_file() and not path.is_symlink() and ".git" not in path.parts]
    texts = [path for path in paths if path.stat().st_size <= LARGEST_READ_BYTES and b"\0" not in path.read_bytes()]
    assert int(shown["totals.files"]) == len(paths)
    assert int(shown["totals.lines"]) == sum(len(path.read_bytes().splitlines()) for path in texts)
    python = [path.read_text(encoding="utf-8") for path in texts if path.suffix == ".py"]
    counted = [count_python(text) for text in python]
    row = next(
        f"languages.{n}"
        for n, row in enumerate(json.loads(outcome.read("statistics"))["languages"])
        if row["name"] == "Python"
    )
    assert int(shown[f"{row}.files"]) == len(python)
    assert int(shown[f"{row}.code"]) == sum(code for code, _ in counted)
    assert int(shown[f"{row}.comment"]) == sum(comment for _, comment in counted)
    log = subprocess.run(["git", "-C", str(this_repository), "rev-list", "HEAD"], capture_output=True, check=True)
    assert int(shown["history.commits"]) == len(log.stdout.split())


def count_python(text: str) -> tuple[int, int]:
    """Lines of code and of comment, by the tokens of the language: not the way the programs go."""
    code: set[int] = set()
    quiet = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.COMMENT}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in quiet:
            code.update(range(token.start[0], token.end[0] + 1))
    lines = text.splitlines()
    written = {number for number, line in enumerate(lines, start=1) if line.strip()}
    documented: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            documented.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    code = (code - documented) & written
    return len(code), len(written - code)


def test_the_lengths_of_functions_equal_an_independent_count(outcome: Outcome, this_repository: Path) -> None:
    files = [file for file in json.loads(outcome.read("metrics"))["files"] if file["language"] == "Python"]
    assert len(files) > 100
    for file in files:
        lengths = [
            (node.end_lineno or 0) - node.lineno + 1
            for node in ast.walk(ast.parse((this_repository / file["path"]).read_bytes()))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        assert sorted(function["lines"] for function in file["functions"]) == sorted(lengths), file["path"]
    shown = read_figures(outcome.read("final_report"))
    every = sorted(
        function["lines"] for file in json.loads(outcome.read("metrics"))["files"] for function in file["functions"]
    )
    assert (int(shown["functions.count"]), int(shown["functions.longest"])) == (len(every), every[-1])
    assert int(shown["functions.median"]) == every[(len(every) - 1) // 2]


TREES: dict[str, Callable[[Path], Path]] = {
    "odd": make_odd_tree,
    "scripts": make_script_tree,
    "repository": make_repository,
    "empty": make_empty_tree,
}


@pytest.mark.parametrize("kind", TREES)
def test_any_tree_gets_a_whole_report(kind: str, tmp_path: Path) -> None:
    outcome = report_on(TREES[kind](tmp_path / "tree"), tmp_path / "run")
    assert outcome.executed == WHOLE_LOOP
    assert outcome.results[5]["passed"], outcome.results[5]["problems"]
    page = outcome.read("final_report")
    for heading in ("Summary", "Size", "Functions", "Dependencies", "Hot spots", "History", "How this was measured"):
        assert f"<h2>{heading}</h2>" in page
    assert "<script" not in page
    assert page.count("<svg") == page.count('role="img"') == page.count("aria-label=") - 1  # the list of contents


def test_odd_files_are_told_apart(tmp_path: Path) -> None:
    outcome = report_on(make_odd_tree(tmp_path / "tree"), tmp_path / "run")
    metrics = json.loads(outcome.read("metrics"))
    files = {file["path"]: file for file in metrics["files"]}
    assert [file["path"] for file in metrics["binary"]] == ["blob.bin"]
    named = "<script>alert(1)<.html broken.py dos.txt empty.py f\ufffd.py latin.py unended.txt wide.txt"
    assert set(files) == {*named.split(), "资料/测试/test_a.py", "资料/问候.py"}
    greeting = files["资料/问候.py"]
    assert [(greeting[part]) for part in ("lines", "code", "comment", "blank")] == [6, 2, 2, 2]
    assert greeting["functions"] == [{"name": "问候", "line": 1, "lines": 3}]
    assert {name: files[name]["lines"] for name in ("dos.txt", "unended.txt", "wide.txt", "empty.py")} == {
        "dos.txt": 2,
        "unended.txt": 1,
        "wide.txt": 1,
        "empty.py": 0,
    }
    assert (files["latin.py"]["encoding"], files["wide.txt"]["encoding"]) == ("unknown", "utf-16")
    assert files["broken.py"]["functions"][0]["name"] == "broken"
    assert "资料/" in outcome.read("final_report")
    assert "问候.py" in outcome.read("plot")


def test_history_follows_a_file_through_its_names(tmp_path: Path) -> None:
    outcome = report_on(make_repository(tmp_path / "tree"), tmp_path / "run")
    statistics = json.loads(outcome.read("statistics"))
    history = statistics["history"]
    assert (history["commits"], history["authors"], history["uncommitted"]) == (3, 2, 1)
    assert (history["first_day"], history["last_day"]) == ("2024-03-01", "2026-02-28")
    assert (history["unit"], len(history["bins"]), history["bins"][0]["label"]) == ("month", 24, "Mar 2024")
    assert [(spot["path"], spot["commits"], spot["changed"]) for spot in statistics["hot_spots"]] == [
        ("pkg/new.py", 3, 10)
    ]
    assert statistics["hot_spots"][0]["heat"] == 100
    assert statistics["dependencies"]["inside"] == [{"path": "pkg/new.py", "files": 1}]
    assert statistics["dependencies"]["outside"] == []
    paths = [file["path"] for file in json.loads(outcome.read("metrics"))["files"]]
    assert paths == [".gitignore", "fresh.py", "pkg/new.py", "use.py"]
    assert "Write &lt;it&gt; &amp; go" in outcome.read("final_report")


def test_a_directory_that_the_repository_ignores_is_read_all_the_same(tmp_path: Path) -> None:
    outcome = report_on(make_repository(tmp_path / "tree") / "made", tmp_path / "run")
    assert [file["path"] for file in json.loads(outcome.read("metrics"))["files"]] == ["ignored.py"]
    assert json.loads(outcome.read("statistics"))["history"]["reason"] == "no commit touches the tree"


def test_other_languages_are_read_by_pattern(tmp_path: Path) -> None:
    outcome = report_on(make_script_tree(tmp_path / "tree"), tmp_path / "run")
    file = json.loads(outcome.read("metrics"))["files"][0]
    assert [file[part] for part in ("lines", "code", "comment", "blank")] == [14, 10, 3, 1]
    assert [(function["name"], function["lines"]) for function in file["functions"]] == [("one", 3), ("two", 4)]
    dependencies = json.loads(outcome.read("statistics"))["dependencies"]
    assert dependencies["inside"] == [{"path": "src/b.ts", "files": 1}]
    assert [row["name"] for row in dependencies["outside"]] == ["@scope/pkg", "react"]


def collect(tree: Path, directory: Path, environment: dict[str, str] | None = None) -> Answer:
    directory.mkdir()
    (directory / "tree").write_text(str(tree), encoding="utf-8")
    envelope = {
        "inputs": {"tree": {"path": str(directory / "tree")}},
        "outputs": {"metrics": {"path": str(directory / "metrics")}},
    }
    return run_program(["python3", str(EXAMPLE / "collect.py")], envelope, directory, environment)


def test_without_git_the_tree_is_read_and_the_history_is_missed(tmp_path: Path) -> None:
    tree = make_repository(tmp_path / "tree")
    (tmp_path / "bin").mkdir()
    answer = collect(tree, tmp_path / "run", {"PATH": str(tmp_path / "bin")})
    assert answer.envelope["ok"]
    metrics = json.loads((tmp_path / "run" / "metrics").read_text(encoding="utf-8"))
    assert metrics["tree"]["listed_by"] == "walk"
    assert metrics["history"]["reason"] == "git is not installed"


def test_the_surroundings_of_a_git_hook_lead_nowhere_else(tmp_path: Path) -> None:
    tree = make_repository(tmp_path / "tree")
    answer = collect(tree, tmp_path / "run", {"GIT_DIR": str(EXAMPLES.parent / ".git"), "GIT_WORK_TREE": str(tmp_path)})
    assert answer.envelope["result"]["commits"] == 3


def test_a_git_that_refuses_is_quoted(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'fatal: detected dubious ownership' >&2\nexit 128\n", encoding="utf-8")
    program.chmod(0o755)
    answer = collect(make_script_tree(tmp_path / "tree"), tmp_path / "run", {"PATH": f"{program.parent}:/usr/bin:/bin"})
    assert answer.envelope["result"]["files"] == 2
    assert "no history: git refused: detected dubious ownership" in answer.progress


def test_files_made_to_be_hard_are_read_all_the_same(tmp_path: Path) -> None:
    """A chain of `elif` nests as deep as it is long; blank lines tempt a pattern that crosses them."""
    tree = make_empty_tree(tmp_path / "tree")
    (tree / "chain.py").write_text("if a:\n    pass\n" + "elif b:\n    def f(): pass\n" * 2_000, encoding="utf-8")
    (tree / "blank.js").write_text("\n" * 1_000_000, encoding="utf-8")
    (tree / "quotes.ts").write_text("`'\"/*" * 100_000, encoding="utf-8")
    (tree / "deep.py").write_text("x = " + "(" * 100_000, encoding="utf-8")
    answer = collect(tree, tmp_path / "run")
    assert answer.envelope["result"] == {"files": 4, "lines": 1_004_004, "commits": 0}
    files = json.loads((tmp_path / "run" / "metrics").read_text(encoding="utf-8"))["files"]
    assert [len(file["functions"]) for file in files] == [0, 2_000, 0, 0]


@pytest.mark.parametrize(("name", "reason"), [("missing", "does not exist"), ("file", "is a file")])
def test_what_is_no_directory_is_refused_with_a_sentence(name: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = collect(tmp_path / name, tmp_path / "run")
    assert answer.exit_code == 1
    assert answer.envelope == {
        "ok": False,
        "error": f"the tree must be a directory, but {tmp_path / name} {reason}",
    }


def test_the_same_tree_gives_the_same_bytes_whatever_the_hash_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = make_odd_tree(tmp_path / "tree")
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    one = report_on(tree, tmp_path / "one")
    monkeypatch.setenv("PYTHONHASHSEED", "2")
    other = report_on(tree, tmp_path / "other")
    assert {name: path.read_bytes() for name, path in one.artifacts.items()} == {
        name: path.read_bytes() for name, path in other.artifacts.items()
    }


def review(page: str, statistics: Path, directory: Path) -> tuple[dict[str, Any], str]:
    """Only the editor's stage; returns the result and the final report."""
    directory.mkdir()
    report = directory / "report"
    report.write_text(page, encoding="utf-8")
    stage = next(stage for stage in load_workflow(EXAMPLE).stages if stage.id == "edit")
    answer = run_stage(EXAMPLE, stage, {"report": report, "statistics": statistics}, directory / "edit")
    assert answer.exit_code == 0, answer.progress
    return answer.envelope["result"], (directory / "edit" / "final_report").read_text(encoding="utf-8")


HARMS: dict[str, tuple[str, str, str]] = {
    "a figure is wrong": ("figures", r'(data-of="totals.lines">)[\d,]+', r"\g<1>7"),
    "a figure is made up": ("figures", r'data-of="totals.lines"', 'data-of="totals.guess"'),
    "a figure has no source": ("sources", r'<p id="size-whole">', r"\g<0>About 40 files, as I recall. "),
    "a sentence is too long": ("sentence-length", r'<p id="size-whole">', rf"\g<0>{'so it goes on and on ' * 4}. "),
    "the summary is gone": ("summary", r'<section id="summary">.*?</section>', ""),
    "the summary says nothing": ("summary", r'(<p id="summary-whole">).*?(</p>.*?)<li.*?</ul>', r"\g<1>\g<2></ul>"),
    "a heading is gone": ("headings", r"<h2>History</h2>", ""),
    "a section is empty": ("sections", r"(<h2>Functions</h2>).*?(</section>)", r"\g<1>\g<2>"),
    "a picture has no words": ("pictures", r'aria-label="Where the code is[^"]*"', 'aria-label=""'),
    "a table has no caption": ("tables", r"<caption>The longest functions</caption>", ""),
    "a word was left over": ("leftovers", r'<p id="size-whole">', r"\g<0>TODO: more. "),
    "the page asks for a script": ("page", r"</main>", r'<script src="x.js"></script>\g<0>'),
    "the page asks for a picture": (
        "page",
        r"</main>",
        r'<img src="x.png" alt="a picture from some other place">\g<0>',
    ),
}


@pytest.mark.parametrize("harm", HARMS)
def test_the_editor_sees_that(harm: str, outcome: Outcome, tmp_path: Path) -> None:
    rule, pattern, replacement = HARMS[harm]
    page, count = re.subn(pattern, replacement, outcome.read("report"), count=1, flags=re.DOTALL)
    assert count == 1
    result, final = review(page, outcome.artifacts["statistics"], tmp_path / "review")
    assert not result["passed"]
    assert rule in {problem["rule"] for problem in result["problems"]}
    assert "Open problems of this report" in final


def test_a_writer_who_does_not_mend_ends_with_a_list_of_open_problems(tmp_path: Path) -> None:
    example = shutil.copytree(EXAMPLE, tmp_path / "example")
    writer = (example / "write.py").read_text(encoding="utf-8")
    (example / "write.py").write_text(writer.replace('task.read_json("feedback")["problems"]', "[]"), encoding="utf-8")
    (tmp_path / "run").mkdir()
    outcome = run_workflow(example, {"tree": str(make_script_tree(tmp_path / "tree"))}, tmp_path / "run")
    assert outcome.executed == WHOLE_LOOP
    assert (outcome.ended, outcome.results[5]["passed"]) == ("completed", False)
    final = outcome.read("final_report")
    assert all(problem["message"] in unescape(final) for problem in outcome.results[5]["problems"])
    assert final.index("Open problems of this report") < final.index("<h2>Size</h2>")
