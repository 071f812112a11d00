"""The content creator of the source report: turns statistics and a picture into a page, and mends it by feedback."""

from collections.abc import Iterable
from typing import Any

import tables
from envelope import Result, Task, perform, report_progress
from findings import (
    Finding,
    explain_method,
    find_dependencies,
    find_functions,
    find_history,
    find_hot_spots,
    find_size,
)
from page import Section, draw_findings, draw_page
from summary import advise, summarise
from tables import draw_table
from wording import Figures

Problem = dict[str, Any]


def write(task: Task) -> Result:
    """A first draft gives the findings in the order of the data; what else a house wants, its editor says."""
    figures = Figures(statistics=task.read_json("statistics"))
    problems: list[Problem] = task.read_json("feedback")["problems"] if "feedback" in task.inputs else []
    if problems:
        report_progress(f"{len(problems)} problems to mend")
    apart = frozenset(problem["where"] for problem in problems if problem["rule"] == "sentence-length")
    summary_wanted = any(problem["rule"] == "summary" for problem in problems)
    page = draw_page(figures, task.read_text("plot"), compose_sections(figures, apart, summary_wanted=summary_wanted))
    task.write_text("report", page, "text/html")
    mended = [problem["rule"] for problem in problems if problem["rule"] in ("sentence-length", "summary")]
    report_progress(f"report written, {len(page) // 1024} KiB")
    return {"draft": 2 if "feedback" in task.inputs else 1, "mended": sorted(set(mended)), "characters": len(page)}


def compose_sections(figures: Figures, apart: frozenset[str], *, summary_wanted: bool) -> list[Section]:
    """`apart` names the findings whose clauses are to stand as sentences of their own."""

    def draw(name: str, title: str, findings: Iterable[Finding], *rest: str) -> Section:
        return Section(name=name, title=title, body=draw_findings(findings, apart) + "".join(rest))

    sections = [
        draw(
            "size",
            "Size",
            find_size(figures),
            draw_table(figures, "languages", tables.LANGUAGES, "Lines by language, and the share of each in the code"),
        ),
        draw(
            "functions",
            "Functions",
            find_functions(figures),
            draw_table(figures, "functions.table", tables.FUNCTIONS, "The longest functions"),
        ),
        draw("dependencies", "Dependencies", find_dependencies(figures), draw_dependencies(figures)),
        draw("hot-spots", "Hot spots", find_hot_spots(figures), draw_hot_spots(figures)),
        draw("history", "History", find_history(figures), draw_history(figures)),
        draw("method", "How this was measured", explain_method(figures)),
    ]
    return [compose_summary(figures), *sections] if summary_wanted else sections


def compose_summary(figures: Figures) -> Section:
    """In short sentences from the start: this part exists because the editor asked."""
    findings = list(summarise(figures))
    advice = advise(figures)
    every = frozenset(finding.name for finding in (*findings, *advice))
    steps = draw_findings(advice, every, tag="li")
    body = f"{draw_findings(findings, every)}<h3>What to do first</h3><ul>{steps}</ul>"
    return Section(name="summary", title="Summary", body=body)


def draw_dependencies(figures: Figures) -> str:
    inside = draw_table(figures, "dependencies.inside", tables.INSIDE, "Files that most others import")
    outside = draw_table(figures, "dependencies.outside", tables.OUTSIDE, "Packages from outside")
    return f'<div class="pair">{inside}{outside}</div>' if inside and outside else inside + outside


def draw_hot_spots(figures: Figures) -> str:
    if figures.look_up("history.changed_again"):
        return draw_table(figures, "hot_spots", tables.HOT_SPOTS, "The hottest files")
    return draw_table(figures, "largest", tables.LARGEST, "The largest files")


def draw_history(figures: Figures) -> str:
    if not figures.look_up("history.commits"):
        return ""
    authors = draw_table(figures, "history.author_table", tables.AUTHORS, "Who made the commits")
    return authors + draw_table(figures, "history.recent", tables.RECENT, "The latest commits")


if __name__ == "__main__":
    perform(write)
