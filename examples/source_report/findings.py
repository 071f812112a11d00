"""What the statistics say, in clauses: a finding is one sentence until an editor asks for several."""

from collections.abc import Iterator
from dataclasses import dataclass

from wording import Figures, show_code

TEST_SHARE_LOW = 20
AUTHOR_SHARE_HIGH = 70
COMMENT_SHARE_LOW = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Each clause can stand alone as a sentence."""

    name: str
    clauses: tuple[str, ...]

    def say(self, *, apart: bool) -> str:
        if apart or len(self.clauses) == 1:
            return " ".join(f"{_capitalise(clause)}." for clause in self.clauses)
        return f"{_capitalise('; '.join(self.clauses[:-1]))}, and {self.clauses[-1]}."


def _capitalise(clause: str) -> str:
    return clause[:1].upper() + clause[1:]


def find_size(figures: Figures) -> Iterator[Finding]:
    if not figures.look_up("totals.files"):
        yield Finding(name="size-whole", clauses=("the tree holds no files",))
        return
    whole = f"the tree holds {figures.count('totals.files', 'file')} with {figures.count('totals.lines', 'line')}"
    if not figures.look_up("code.lines"):
        clause = "nothing in it is written in a programming language that this report knows"
        yield Finding(name="size-whole", clauses=(whole, clause))
    else:
        code = f"{figures.show('code.code')} of them are code in {figures.count('code.languages', 'language')}"
        main = f"{figures.name('languages.0.name')} makes up {figures.percent('languages.0.share')} of that code"
        yield Finding(name="size-whole", clauses=(whole, code, main))
        yield from _find_areas(figures)
        yield _find_tests(figures)
    yield from _find_unread(figures)


def _find_areas(figures: Figures) -> Iterator[Finding]:
    areas = figures.look_up("areas")
    if len(areas) > 1:
        first = f"the largest part is {show_code(areas[0]['name'])} with {figures.show('areas.0.lines')} lines"
        second = f"{show_code(areas[1]['name'])} follows with {figures.show('areas.1.lines')}"
        yield Finding(name="size-areas", clauses=(first, second))


def _find_tests(figures: Figures) -> Finding:
    comment = f"{figures.percent('code.comment_share')} of its written lines are comment"
    if figures.look_up("code.comment_share") < COMMENT_SHARE_LOW:
        comment += ", so the reasons behind it must be asked from people"
    share = figures.look_up("code.test_share")
    if not share:
        tests = "no test code was recognised, so nothing shows by itself that a change is safe"
    elif share < TEST_SHARE_LOW:
        tests = f"tests make up {figures.percent('code.test_share')} of the code, which is little"
    else:
        tests = f"tests make up {figures.percent('code.test_share')} of the code, so most mistakes will be noticed"
    return Finding(name="size-tests", clauses=(comment, tests))


def _find_unread(figures: Figures) -> Iterator[Finding]:
    named = (
        ("totals.binary_files", "is binary and has no lines to count", "are binary and have no lines to count"),
        ("totals.unread_files", "is too large or closed, and not counted", "are too large or closed, and not counted"),
        ("totals.foreign_files", "is not UTF-8 but was counted", "are not UTF-8 but were counted"),
        ("totals.left_out_files", "is beyond the limit of this report", "are beyond the limit of this report"),
    )  # fmt: skip
    clauses = tuple(
        f"{figures.count(path, 'file')} {one if figures.look_up(path) == 1 else many}"
        for path, one, many in named
        if figures.look_up(path)
    )
    if clauses:
        yield Finding(name="size-unread", clauses=clauses)


def find_functions(figures: Figures) -> Iterator[Finding]:
    if not figures.look_up("functions.count"):
        yield Finding(name="functions-none", clauses=("no functions were found in the tree",))
        return
    half = (
        f"half of the {figures.count('functions.count', 'function')} "
        f"have at most {figures.count('functions.median', 'line')}"
    )
    nine = f"nine in ten have at most {figures.show('functions.p90')}"
    longest = (
        f"the longest, {figures.code('functions.table.0.name')} in {figures.code('functions.table.0.path')}, "
        f"has {figures.show('functions.longest')}"
    )
    yield Finding(name="functions-length", clauses=(half, nine, longest))
    limit = f"longer than {figures.show('functions.limit')} lines"
    if not figures.look_up("functions.over_limit"):
        yield Finding(name="functions-limit", clauses=(f"no function is {limit}, so each fits on a screen",))
    else:
        over = f"{figures.show('functions.over_limit')} of them ({figures.percent('functions.over_share')}) run {limit}"
        advice = "each of these is hard to test on its own, so the table below is a list of work"
        yield Finding(name="functions-limit", clauses=(over, advice))


def find_dependencies(figures: Figures) -> Iterator[Finding]:
    inside, outside = figures.look_up("dependencies.inside"), figures.look_up("dependencies.outside")
    if inside:
        count = figures.count("dependencies.inside_count", "file is", "files are")
        carries = (
            f"{figures.code('dependencies.inside.0.path')} carries the most weight, "
            f"with {figures.count('dependencies.inside.0.files', 'importer')}"
        )
        clauses = (f"{count} imported by other files of the tree", carries, "a change there is felt furthest")
        yield Finding(name="dependencies-inside", clauses=clauses)
    if outside:
        count = figures.count("dependencies.outside_count", "package comes", "packages come")
        most = (
            f"{figures.code('dependencies.outside.0.name')} is used most, "
            f"in {figures.count('dependencies.outside.0.files', 'file')}"
        )
        yield Finding(name="dependencies-outside", clauses=(f"{count} from outside the tree", most))
    elif figures.look_up("dependencies.standard_files"):
        clause = "nothing is needed from outside but what comes with the language"
        yield Finding(name="dependencies-outside", clauses=(clause,))
    if not inside and not outside and not figures.look_up("dependencies.standard_files"):
        yield Finding(name="dependencies-none", clauses=("no imports were found in the tree",))


def find_hot_spots(figures: Figures) -> Iterator[Finding]:
    if figures.look_up("history.changed_again"):
        count = figures.count("history.changed_again", "file of code has", "files of code have")
        hottest = (
            f"{figures.code('hot_spots.0.path')} is the hottest, with {figures.show('hot_spots.0.code')} lines of code "
            f"and {figures.count('hot_spots.0.commits', 'commit')}"
        )
        clauses = (f"{count} changed more than once", hottest, "the next change will most likely meet it again")
        yield Finding(name="hot-spots", clauses=clauses)
    elif figures.look_up("largest"):
        why = "no file of code has changed twice, so size alone tells where to look"
        if not figures.look_up("history.commits"):
            why = "without a history, size alone tells where to look"
        largest = (
            f"the largest file is {figures.code('largest.0.path')} with {figures.count('largest.0.lines', 'line')}"
        )
        yield Finding(name="hot-spots", clauses=(why, largest))
    else:
        yield Finding(name="hot-spots", clauses=("there is no text in the tree that could be hot",))


def find_history(figures: Figures) -> Iterator[Finding]:
    if not figures.look_up("history.commits"):
        reason = f'<span class="name">{figures.show("history.reason")}</span>'
        yield Finding(name="history-none", clauses=(f"there is no history to tell: {reason}",))
        return
    lines = f"{figures.show('history.added')} lines were added and {figures.show('history.deleted')} deleted"
    yield Finding(name="history-made", clauses=(*_find_span(figures), lines))
    yield _find_authors(figures)
    if figures.look_up("history.shallow"):
        yield Finding(name="history-shallow", clauses=("the clone is shallow, so older commits are missing here",))
    if figures.look_up("history.truncated"):
        yield Finding(name="history-truncated", clauses=("older commits than these exist and were not read",))


def _find_span(figures: Figures) -> Iterator[str]:
    count = figures.count("history.commits", "commit was", "commits were")
    made = f"{count} made by {figures.count('history.authors', 'author')}"
    if figures.look_up("history.days") == 1:
        yield f"{made} on {figures.show('history.first_day')}"
        return
    yield f"{made} from {figures.show('history.first_day')} to {figures.show('history.last_day')}"
    yield f"work was done on {figures.show('history.active_days')} of {figures.count('history.days', 'day')}"


def _find_authors(figures: Figures) -> Finding:
    busiest = "history.author_table.0"
    first = f"{figures.name(f'{busiest}.name')} made {figures.percent(f'{busiest}.share')} of the commits"
    if figures.look_up("history.authors") == 1:
        return Finding(name="history-authors", clauses=(first, "nobody else has left a trace in this tree"))
    if figures.look_up(f"{busiest}.share") >= AUTHOR_SHARE_HIGH:
        return Finding(name="history-authors", clauses=(first, "what is known about this tree hangs on one person"))
    half = f"it takes {figures.count('history.half_of_commits_authors', 'person', 'people')} to reach half of them"
    return Finding(name="history-authors", clauses=(first, half))


def explain_method(figures: Figures) -> Iterator[Finding]:
    listed = "git names the files, and those that it ignores are left out"
    if figures.look_up("tree.listed_by") != "git":
        listed = "all plain files count but those that tools make or bring"
    yield Finding(
        name="method-lines",
        clauses=(
            listed,
            "a line is code when something other than comment stands on it",
            "a docstring is comment",
        ),
    )
    yield Finding(
        name="method-functions",
        clauses=(
            "the functions and imports of Python are read from its syntax tree",
            "those of other languages are found by patterns and may be a little off",
        ),
    )
    yield Finding(
        name="method-heat",
        clauses=(
            "the heat of a file is its lines of code times its commits after the first, in percent of the hottest",
            "renames are followed, and times are in UTC",
        ),
    )
