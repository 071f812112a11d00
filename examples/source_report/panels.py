"""Which panels the picture has, chosen by what the tree offers, and what each says in words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from charts import Bubble, Column, Row, draw_bubbles, draw_columns, draw_rows
from drawing import show_number

Statistics = dict[str, Any]

PANELS_MAX = 4
ROWS_MAX = 7
BUBBLES_MAX = 400
HOT_BUBBLES_MAX = 5
_PARTS = ("code", "comment", "blank")


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A chart with a title, a line on how to read it, and the same in words for those who cannot see it."""

    name: str
    title: str
    hint: str
    words: str
    body: str
    legend: tuple[tuple[str, str], ...] = ()  # look and meaning


def choose_panels(statistics: Statistics, hot_spots: Sequence[Statistics]) -> list[Panel]:
    if not statistics["totals"]["lines"]:
        return []
    candidates: list[tuple[bool, Callable[[], Panel]]] = [
        (True, lambda: show_areas(statistics)),
        (statistics["functions"]["count"] > 0, lambda: show_functions(statistics)),
        (statistics["history"]["changed_again"] > 0, lambda: show_hot_spots(hot_spots)),
        (len(statistics["history"].get("bins", ())) > 1, lambda: show_pace(statistics["history"])),
        (True, lambda: show_largest(statistics)),
        (len(statistics["languages"]) > 1, lambda: show_languages(statistics)),
        (True, lambda: show_file_lengths(statistics)),
    ]
    return [show() for worthwhile, show in candidates if worthwhile][:PANELS_MAX]


def show_areas(statistics: Statistics) -> Panel:
    areas = statistics["areas"]
    rows = [Row(label=area["name"], parts=_split(area)) for area in _gather(areas)]
    what = "code" if statistics["code"]["files"] else "text"
    return Panel(
        name="areas",
        title=f"Where the {what} is",
        hint="lines by directory",
        words=f"Bars of the lines in {_count(len(areas), 'directory', 'directories')}. "
        f"The longest is {areas[0]['name']} with {show_number(areas[0]['lines'])} lines.",
        body=draw_rows(rows),
        legend=(("code", what), ("comment", "comment"), ("blank", "blank")),
    )


def _split(entry: Statistics) -> tuple[tuple[str, int], ...]:
    return tuple((part, entry[part]) for part in _PARTS)


def _gather(rows: list[Statistics]) -> list[Statistics]:
    """The largest, and all that have no row of their own in the last one."""
    if len(rows) <= ROWS_MAX:
        return rows
    rest = rows[ROWS_MAX - 1 :]
    others = {part: sum(row[part] for row in rest) for part in _PARTS}
    return [*rows[: ROWS_MAX - 1], {"name": f"{len(rest)} others", **others}]


def show_functions(statistics: Statistics) -> Panel:
    functions = statistics["functions"]
    limit = functions["limit"]
    columns = [
        Column(
            label=entry["label"],
            value=entry["count"],
            look="hot" if entry["last"] is None or entry["last"] > limit else "code",
        )
        for entry in functions["bins"]
    ]
    over = f"{functions['over_limit'] or 'none'} of {show_number(functions['count'])} longer than {limit} lines"
    return Panel(
        name="functions",
        title="How long functions are",
        hint=over,
        words=f"Columns of functions by length. Half of them have at most {functions['median']} lines; {over}.",
        body=draw_columns(columns, unit="lines of a function", numbered=True),
    )


def show_file_lengths(statistics: Statistics) -> Panel:
    columns = [Column(label=entry["label"], value=entry["count"]) for entry in statistics["file_bins"]]
    fullest = max(statistics["file_bins"], key=lambda entry: int(entry["count"]))
    return Panel(
        name="files",
        title="How long files are",
        hint="number of files by their lines",
        words=f"Columns of files by length. Most of them, {fullest['count']}, have {fullest['label']} lines.",
        body=draw_columns(columns, unit="lines of a file", numbered=True),
    )


def show_hot_spots(hot_spots: Sequence[Statistics]) -> Panel:
    bubbles = [
        Bubble(
            label=_shorten(spot["path"]),
            x=spot["code"],
            y=spot["commits"],
            weight=spot["changed"],
            hint=f"{spot['path']}: {spot['code']:,} lines of code, {_count(spot['commits'], 'commit', 'commits')}",
            look="hot" if number < HOT_BUBBLES_MAX and spot["commits"] > 1 else "comment",
        )
        for number, spot in enumerate(hot_spots[:BUBBLES_MAX])
    ]
    first = hot_spots[0]
    return Panel(
        name="hot-spots",
        title="Where size meets change",
        hint="a bubble is a file, its area the lines ever changed",
        words=f"Bubbles of {_count(len(bubbles), 'file', 'files')} by lines of code and commits. The hottest is "
        f"{first['path']} with {first['code']:,} lines of code and {_count(first['commits'], 'commit', 'commits')}.",
        body=draw_bubbles(bubbles, x_unit="lines of code", y_unit="commits"),
    )


def show_largest(statistics: Statistics) -> Panel:
    largest = statistics["largest"]
    rows = [Row(label=_shorten(file["path"]), parts=(("code", file["lines"]),)) for file in largest[:ROWS_MAX]]
    return Panel(
        name="largest",
        title="The largest files",
        hint="lines of a file, comments and blank lines included",
        words=f"Bars of the largest files. {largest[0]['path']} leads with {show_number(largest[0]['lines'])} lines.",
        body=draw_rows(rows),
    )


def show_pace(history: Statistics) -> Panel:
    commits, authors = _count(history["commits"], "commit", "commits"), _count(history["authors"], "author", "authors")
    columns = [Column(label=entry["label"], value=entry["count"]) for entry in history["bins"]]
    busiest = history["busiest"]
    return Panel(
        name="pace",
        title="How it came to be",
        hint=f"{commits} by {authors}",
        words=f"Columns of commits by {history['unit']}, from {history['first_day']} to {history['last_day']}. "
        f"The most, {busiest['count']}, fell on {busiest['label']}.",
        body=draw_columns(columns, unit=f"commits by {_name_unit(history)}", numbered=False),
    )


def _name_unit(history: Statistics) -> str:
    first, last, unit = history["first_day"], history["last_day"], history["unit"]
    if unit == "hour":
        return f"hour (UTC), {first}" if first == last else f"hour (UTC), {first} to {last}"
    return f"{unit}, {first[:4]}" if first[:4] == last[:4] else f"{unit}, {first[:4]} to {last[:4]}"


def show_languages(statistics: Statistics) -> Panel:
    languages = sorted(statistics["languages"], key=lambda row: (-row["lines"], row["name"]))
    return Panel(
        name="languages",
        title="What it is written in",
        hint="lines by language",
        words=f"Bars of the lines by language. Most are {languages[0]['name']}, {show_number(languages[0]['lines'])}.",
        body=draw_rows([Row(label=row["name"], parts=_split(row)) for row in _gather(languages)]),
        legend=(("code", "content"), ("comment", "comment"), ("blank", "blank")),
    )


def _shorten(path: str) -> str:
    """The name of a file, with its directory where many files have that name."""
    parts = PurePosixPath(path).parts
    return "/".join(parts[-2:]) if parts[-1].startswith(("__", "index.", "mod.", "README")) else parts[-1]


def _count(number: int, one: str, many: str) -> str:
    return f"{show_number(number)} {one if number == 1 else many}"
