"""A chart of lines over time, as SVG: one line for each branch, its name at its end."""

import math
from dataclasses import dataclass
from datetime import date
from html import escape

WIDTH, HEIGHT = 760, 360
LEFT, RIGHT, TOP, BOTTOM = 56, 96, 56, 40
COLOURS = ("#2f6690", "#d9542b", "#3f8f6b", "#8a5fa8", "#a8862f", "#5b6770")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LABEL_GAP = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    name: str
    points: list[tuple[date, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    first: date
    days: int
    top: int

    def place(self, day: date, value: float) -> tuple[float, float]:
        x = LEFT + (day - self.first).days / self.days * (WIDTH - LEFT - RIGHT)
        return x, HEIGHT - BOTTOM - value / self.top * (HEIGHT - TOP - BOTTOM)


def draw_chart(title: str, lines: list[Line]) -> str:
    days = sorted(day for line in lines for day, _ in line.points)
    highest = max(1, *(value for line in lines for _, value in line.points))
    step = choose_step(highest)
    scale = _Scale(first=days[0], days=max(1, (days[-1] - days[0]).days), top=step * math.ceil(highest / step))
    words = f"Lines of {title.lower()} from {days[0]} to {days[-1]}: {', '.join(line.name for line in lines)}."
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{escape(words)}" font-family="system-ui, sans-serif" font-size="13" fill="#5d6b7a">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n'
        f'<text x="{LEFT - 40}" y="28" font-size="16" font-weight="600" fill="#1f2a37">{escape(title)}</text>\n'
        f"{_draw_values(scale, step)}\n{_draw_months(scale, days[-1])}\n{_draw_lines(scale, lines)}\n</svg>\n"
    )


def choose_step(highest: int) -> int:
    power = 10 ** math.floor(math.log10(highest / 4)) if highest > 4 else 1
    return int(next(factor * power for factor in (1, 2, 5, 10) if factor * power * 5 >= highest))


def _draw_values(scale: _Scale, step: int) -> str:
    shapes = []
    for value in range(0, scale.top + 1, step):
        y = scale.place(scale.first, value)[1]
        shapes.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#e8edf2"/>')
        shapes.append(f'<text x="{LEFT - 10}" y="{y + 4:.1f}" text-anchor="end">{value:,}</text>')
    return "".join(shapes)


def _draw_months(scale: _Scale, last: date) -> str:
    """At most a dozen months are named."""
    count = (last.year - scale.first.year) * 12 + last.month - scale.first.month + 1
    every = math.ceil(count / 12)
    shapes = []
    for number in range(0, count, every):
        month = scale.first.month - 1 + number
        day = date(scale.first.year + month // 12, month % 12 + 1, 1)
        if day >= scale.first or number == 0:
            x = scale.place(max(day, scale.first), 0)[0]
            shapes.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 22}">{MONTHS[day.month - 1]}</text>')
    return "".join(shapes)


def _draw_lines(scale: _Scale, lines: list[Line]) -> str:
    """Names stand apart from each other even where lines end together."""
    shapes = []
    floor = float(HEIGHT)
    ends = sorted(enumerate(lines), key=lambda item: item[1].points[-1][1])
    for number, line in ends:
        colour = COLOURS[number % len(COLOURS)]
        places = [scale.place(day, value) for day, value in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        shapes.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>'
        )
        floor = min(places[-1][1] + 4, floor - LABEL_GAP)
        name = escape(line.name)
        shapes.append(
            f'<text x="{places[-1][0] + 8:.1f}" y="{floor:.1f}" fill="{colour}" font-weight="600">{name}</text>'
        )
    return "".join(shapes)
