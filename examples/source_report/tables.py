"""The tables of the report: rows of the statistics as they are, every figure with its source."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from wording import Figures, show_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    title: str
    field: str
    look: str = "number"  # number | code | words | share | heat


_CODE = Column(title="Code", field="code")
LANGUAGES = (
    Column(title="Language", field="name", look="words"),
    Column(title="Files", field="files"),
    _CODE,
    Column(title="Comment", field="comment"),
    Column(title="Blank", field="blank"),
    Column(title="Share", field="share", look="share"),
)
FUNCTIONS = (
    Column(title="Function", field="name", look="code"),
    Column(title="File", field="path", look="code"),
    Column(title="Line", field="line"),
    Column(title="Length", field="lines"),
)
INSIDE = (Column(title="File", field="path", look="code"), Column(title="Importers", field="files"))
OUTSIDE = (Column(title="Package", field="name", look="code"), Column(title="Files", field="files"))
HOT_SPOTS = (
    Column(title="File", field="path", look="code"),
    _CODE,
    Column(title="Commits", field="commits"),
    Column(title="Lines changed", field="changed"),
    Column(title="Authors", field="authors"),
    Column(title="Heat", field="heat", look="heat"),
)
LARGEST = (
    Column(title="File", field="path", look="code"),
    Column(title="Lines", field="lines"),
    _CODE,
    Column(title="Functions", field="functions"),
)
AUTHORS = (
    Column(title="Author", field="name", look="words"),
    Column(title="Commits", field="commits"),
    Column(title="Share", field="share", look="share"),
    Column(title="Lines changed", field="changed"),
)
RECENT = (
    Column(title="Day", field="day", look="words"),
    Column(title="Author", field="author", look="words"),
    Column(title="What", field="subject", look="words"),
)


def draw_table(figures: Figures, path: str, columns: Sequence[Column], caption: str) -> str:
    """Nothing where there are no rows: a table of none is no table."""
    rows = figures.look_up(path)
    if not rows:
        return ""
    head = "".join(f'<th scope="col" class="{column.look}">{escape(column.title)}</th>' for column in columns)
    body = "".join(f"<tr>{''.join(_draw_cells(figures, f'{path}.{n}', columns))}</tr>" for n in range(len(rows)))
    return (
        f'<div class="table"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _draw_cells(figures: Figures, row: str, columns: Sequence[Column]) -> Iterator[str]:
    for column in columns:
        path = f"{row}.{column.field}"
        yield f'<td class="{column.look}">{_draw_value(figures, path, column.look)}</td>'


def _draw_value(figures: Figures, path: str, look: str) -> str:
    value = figures.look_up(path)
    match look:
        case "code":
            return show_code(value)
        case "words":
            return escape(str(value))
        case "share":
            return figures.percent(path) if value is not None else "–"
        case "heat":
            return f'<span class="bar" style="--share: {value}%"></span>{figures.show(path)}'
    return figures.show(path)
