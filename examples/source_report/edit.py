"""The content editor of the source report: reviews it against the house rules and passes it, or says what to mend."""

from collections.abc import Sequence
from dataclasses import asdict
from html import escape

from envelope import CannotWork, Result, Task, perform, report_progress
from house_rules import RULES, Problem, review
from manuscript import read_manuscript

PROBLEMS_SHOWN_MAX = 50  # a result travels inline; the feedback has them all


def edit(task: Task) -> Result:
    """Hands on the report each time: when nobody may mend it any more, it goes out with the list of what is open."""
    page = task.read_text("report")
    manuscript = read_manuscript(page)
    problems = review(manuscript, task.read_json("statistics"))
    listed = [asdict(problem) for problem in problems]
    task.write_json("feedback", {"passed": not problems, "problems": listed})
    task.write_text("final_report", add_note(page, problems, len(manuscript.figures)), "text/html")
    for problem in problems[:PROBLEMS_SHOWN_MAX]:
        report_progress(f"{problem.rule}, {problem.where}: {problem.message}")
    report_progress(f"open problems: {len(problems)}" if problems else "passed")
    return {
        "passed": not problems,
        "problems": listed[:PROBLEMS_SHOWN_MAX],
        "figures_checked": len(manuscript.figures),
    }


def add_note(page: str, problems: Sequence[Problem], figures: int) -> str:
    """Praise goes below, open problems go where nobody can miss them."""
    if problems:
        return _insert(page, "</header>", draw_problems(problems), before=False)
    note = (
        f'<p id="editor-note">Reviewed against {len(RULES)} house rules; '
        f"each of its {figures:,} figures was compared with the statistics.</p>\n"
    )
    return _insert(page, "</main>", note, before=True)


def draw_problems(problems: Sequence[Problem]) -> str:
    items = "".join(f"<li>{escape(problem.message)}</li>" for problem in problems)
    return f'<aside id="open-problems"><h2>Open problems of this report</h2><ul>{items}</ul></aside>'


def _insert(page: str, mark: str, addition: str, *, before: bool) -> str:
    head, found, tail = page.partition(mark)
    if not found:
        raise CannotWork(f"the report is not a whole page: it has no {mark}")
    return head + addition + found + tail if before else head + found + addition + tail


if __name__ == "__main__":
    perform(edit)
