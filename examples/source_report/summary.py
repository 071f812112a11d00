"""The summary for a reader with one minute: what this is, and what to do first."""

from collections.abc import Iterator

from findings import AUTHOR_SHARE_HIGH, TEST_SHARE_LOW, Finding
from wording import Figures

FILE_LINES_MAX = 400
ADVICE_MAX = 4


def summarise(figures: Figures) -> Iterator[Finding]:
    if not figures.look_up("totals.lines"):
        yield Finding(name="summary-whole", clauses=("there is nothing in this tree to decide about",))
        return
    if figures.look_up("code.lines"):
        most = "mostly" if figures.look_up("languages.0.share") > 50 else "first of all"
        lines = figures.count("code.code", "line")
        size = f"this is a tree of {lines} of code, {most} {figures.name('languages.0.name')}"
    else:
        size = f"this is a tree of {figures.count('totals.lines', 'line')} of text without code"
    yield Finding(name="summary-whole", clauses=(size, *_judge(figures)))


def _judge(figures: Figures) -> Iterator[str]:
    if figures.look_up("functions.count"):
        yield _judge_functions(figures)
    if figures.look_up("code.lines"):
        share = figures.look_up("code.test_share")
        yield f"tests are {figures.percent('code.test_share')} of the code" if share else "it has no tests to speak of"
    if figures.look_up("history.commits"):
        yield (
            f"it grew over {figures.count('history.days', 'day')} in {figures.count('history.commits', 'commit')} "
            f"by {figures.count('history.authors', 'author')}"
        )


def _judge_functions(figures: Figures) -> str:
    typical = f"its typical function has {figures.count('functions.median', 'line')}"
    if not figures.look_up("functions.over_limit"):
        return f"{typical} and none is too long"
    return f"{typical}, and {figures.show('functions.over_limit')} are too long for a screen"


def advise(figures: Figures) -> list[Finding]:
    """What the figures call for, the most telling first; at most a handful, or nobody will do any of it."""
    found = [advice for advice in _list_advice(figures) if advice]
    clauses = found[:ADVICE_MAX] or ["nothing here asks for action"]
    return [Finding(name=f"advice-{number}", clauses=(clause,)) for number, clause in enumerate(clauses, start=1)]


def _list_advice(figures: Figures) -> Iterator[str]:
    if figures.look_up("history.changed_again"):
        yield f"begin with {figures.code('hot_spots.0.path')}: no other file is so large and so often changed at once"
    if figures.look_up("code.lines") and figures.look_up("code.test_share") < TEST_SHARE_LOW:
        yield "ask for tests before asking for features"
    if figures.look_up("functions.over_limit"):
        yield (
            f"divide {figures.code('functions.table.0.name')}, the longest function: "
            f"{figures.count('functions.longest', 'line')} do not fit on a screen"
        )
    if figures.look_up("code.files") and figures.look_up("largest.0.lines") > FILE_LINES_MAX:
        largest, lines = figures.code("largest.0.path"), figures.show("largest.0.lines")
        yield f"split {largest} by what it is about: it has {lines} lines"
    if figures.look_up("history.authors") == 1:
        yield "let a second person read along: one author alone knows this tree"
    elif figures.look_up("history.commits") and figures.look_up("history.author_table.0.share") >= AUTHOR_SHARE_HIGH:
        yield f"spread what {figures.name('history.author_table.0.name')} knows, for too much hangs on one person"
