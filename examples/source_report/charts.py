"""The three kinds of charts: rows of bars, columns, and bubbles; each fills the body of one panel."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from drawing import (
    draw_bar,
    draw_bubble,
    draw_label,
    draw_line,
    draw_text,
    fit_text,
    list_ticks,
    measure_text,
    show_number,
)

WIDTH, HEIGHT = 460, 310
LEFT, RIGHT, TOP, BOTTOM = 20, 20, 72, 40  # from the edges of a panel to its body
LABEL_WIDTH_MAX = 130
COLUMN_LABELS_MAX = 7
_SLOT_PX_MAX = 42


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    label: str
    parts: tuple[tuple[str, int], ...]  # of one bar, from the left: look and value

    @property
    def total(self) -> int:
        return sum(value for _, value in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    label: str
    value: int
    look: str = "code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bubble:
    label: str
    x: int
    y: int
    weight: int
    hint: str
    look: str = "comment"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    x: float
    y: float
    radius: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other: "_Box") -> bool:
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )


def draw_rows(rows: Sequence[Row]) -> str:
    """Long names have room beside a bar; its end carries its length."""
    left = LEFT + 8 + min(LABEL_WIDTH_MAX, max(measure_text(row.label) for row in rows))
    ticks = list_ticks(max(row.total for row in rows))
    right = WIDTH - RIGHT - measure_text(show_number(ticks[-1])) - 6
    slot = min(_SLOT_PX_MAX, (HEIGHT - BOTTOM - TOP) / len(rows))
    bottom = TOP + slot * len(rows)
    scale = (right - left) / ticks[-1]
    marks = [_draw_tick_below(left + tick * scale, TOP, bottom, tick) for tick in ticks]
    return "".join([*marks, *(_draw_row(row, left, TOP + slot * n, slot, scale) for n, row in enumerate(rows))])


def _draw_tick_below(x: float, top: float, bottom: float, tick: int) -> str:
    return draw_line(x, top, x, bottom) + draw_text(x, bottom + 18, show_number(tick), look="muted", anchor="middle")


def _draw_row(row: Row, left: float, top: float, slot: float, scale: float) -> str:
    middle = top + slot / 2 + 4
    shapes = [draw_text(left - 8, middle, fit_text(row.label, LABEL_WIDTH_MAX), anchor="end")]
    x = float(left)
    for look, value in row.parts:
        shapes.append(draw_bar(x, top + slot * 0.16, value * scale, slot * 0.68, look=look))
        x += value * scale
    shapes.append(draw_text(x + 6, middle, show_number(row.total), look="muted"))
    return "".join(shapes)


def draw_columns(columns: Sequence[Column], *, unit: str, numbered: bool) -> str:
    """`numbered` puts the value over each column; the unit says what the columns count."""
    ticks = list_ticks(max(column.value for column in columns))
    left = LEFT + 8 + measure_text(show_number(ticks[-1]))
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM - 14
    scale = (bottom - TOP) / ticks[-1]
    slot = (right - left) / len(columns)
    every = math.ceil(len(columns) / COLUMN_LABELS_MAX)
    shapes = [_draw_tick_beside(left, right, bottom - tick * scale, tick) for tick in ticks]
    for number, column in enumerate(columns):
        x = left + slot * number
        shapes.append(_draw_column(column, x, slot, bottom, scale, numbered=numbered))
        if number % every == 0:
            shapes.append(draw_text(x + slot / 2, bottom + 18, column.label, look="muted", anchor="middle", size=11))
    return "".join([*shapes, draw_text((left + right) / 2, HEIGHT - 14, unit, look="muted", anchor="middle")])


def _draw_tick_beside(left: float, right: float, y: float, tick: int) -> str:
    return draw_line(left, y, right, y) + draw_text(left - 8, y + 4, show_number(tick), look="muted", anchor="end")


def _draw_column(column: Column, x: float, slot: float, bottom: float, scale: float, *, numbered: bool) -> str:
    height = column.value * scale
    width = min(slot * 0.76, 48)
    shape = draw_bar(x + (slot - width) / 2, bottom - height, width, height, look=column.look)
    if not numbered or not column.value:
        return shape
    return shape + draw_text(x + slot / 2, bottom - height - 5, show_number(column.value), anchor="middle", size=11)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axes:
    """Sizes of files spread over decades, hence the logarithmic axis for x."""

    left: float
    right: float
    top: float
    bottom: float
    x_ticks: tuple[int, ...]
    y_ticks: tuple[int, ...]

    def place_x(self, x: float) -> float:
        first, last = math.log10(self.x_ticks[0]), math.log10(self.x_ticks[-1])
        return self.left + (math.log10(x) - first) / (last - first) * (self.right - self.left)

    def place_y(self, y: float) -> float:
        return self.bottom - y / self.y_ticks[-1] * (self.bottom - self.top)


def draw_bubbles(bubbles: Sequence[Bubble], *, x_unit: str, y_unit: str) -> str:
    """The hot bubbles come first: they are labelled, and lie on top of the others."""
    axes = _choose_axes(bubbles)
    heaviest = max(bubble.weight for bubble in bubbles) or 1
    radii = [3 + 13 * math.sqrt(bubble.weight / heaviest) for bubble in bubbles]
    places = [
        _Place(x=axes.place_x(bubble.x), y=axes.place_y(bubble.y), radius=radius)
        for bubble, radius in zip(bubbles, radii, strict=True)
    ]
    shapes = [_draw_tick_beside(axes.left, axes.right, axes.place_y(tick), tick) for tick in axes.y_ticks]
    shapes += [_draw_tick_below(axes.place_x(tick), axes.top, axes.bottom, tick) for tick in axes.x_ticks]
    for bubble, place in reversed(list(zip(bubbles, places, strict=True))):
        shapes.append(draw_bubble(place.x, place.y, place.radius, look=bubble.look, hint=bubble.hint))
    shapes += _draw_labels([bubble.label for bubble in bubbles if bubble.look == "hot"], places, axes)
    shapes.append(draw_text((axes.left + axes.right) / 2, HEIGHT - 14, x_unit, look="muted", anchor="middle"))
    return "".join([*shapes, draw_text(LEFT, TOP - 6, y_unit, look="muted")])


def _choose_axes(bubbles: Sequence[Bubble]) -> _Axes:
    y_ticks = list_ticks(max(bubble.y for bubble in bubbles) * 1.1)
    steps = [factor * 10**power for power in range(9) for factor in (1, 3)]
    first = max(step for step in steps if step <= min(bubble.x for bubble in bubbles))
    last = next(step for step in steps if step > max(first, *(bubble.x for bubble in bubbles)))
    return _Axes(
        left=LEFT + 8 + measure_text(show_number(y_ticks[-1])),
        right=WIDTH - RIGHT - 10,
        top=TOP + 6,
        bottom=HEIGHT - BOTTOM - 14,
        x_ticks=tuple(step for step in steps if first <= step <= last),
        y_ticks=tuple(y_ticks),
    )


def _draw_labels(labels: Sequence[str], places: Sequence[_Place], axes: _Axes) -> list[str]:
    """Each near its bubble, off the labelled bubbles and labels, over as few others as can be; without room none."""
    bubbles = [_Box(x=p.x - p.radius, y=p.y - p.radius, width=2 * p.radius, height=2 * p.radius) for p in places]
    taken = bubbles[: len(labels)]
    shapes = []
    for label, place in zip(labels, places, strict=False):
        free = [box for box in _try_boxes(place, measure_text(label)) if _is_free(box, taken, axes)]
        if free:
            box = min(free, key=lambda box: sum(box.overlaps(bubble) for bubble in bubbles))
            taken.append(box)
            shapes.append(draw_label(box.x, box.y + box.height - 3, label))
    return shapes


def _is_free(box: _Box, taken: Sequence[_Box], axes: _Axes) -> bool:
    inside = axes.left <= box.x and box.x + box.width <= WIDTH - 4 and axes.top - 8 <= box.y <= axes.bottom - box.height
    return inside and not any(box.overlaps(other) for other in taken)


def _try_boxes(place: _Place, width: float) -> Iterator[_Box]:
    """Beside the bubble, above and below it, then further away."""
    gap, height = place.radius + 3, 14.0
    beside = (place.x + gap, place.x - gap - width)
    for away in range(5):
        for x in beside:
            for sign in (-1, 1) if away else (1,):
                yield _Box(x=x, y=place.y - height / 2 + sign * away * height, width=width, height=height)
        for y in (place.y - gap - height * (away + 1), place.y + gap + height * away):
            yield _Box(x=place.x - width / 2, y=y, width=width, height=height)
