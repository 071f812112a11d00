"""Shapes and words of an SVG picture, and the measures of its axes."""

import math
import unicodedata
from html import escape

# The page may give these classes other colours; a viewer of the bare picture sees the ones written here.
COLOURS = {
    "paper": "#f4f6f8",
    "card": "#ffffff",
    "edge": "#dfe5eb",
    "grid": "#e8edf2",
    "ink": "#1f2a37",
    "muted": "#627182",
    "code": "#2f6690",
    "comment": "#81b1d1",
    "blank": "#d3dde7",
    "hot": "#d9542b",
}
FONT = "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'Noto Sans CJK SC', sans-serif"
TEXT_SIZE = 12
ELLIPSIS = "…"


def draw_text(
    x: float,
    y: float,
    text: str,
    *,
    look: str = "ink",
    anchor: str = "start",
    size: int = TEXT_SIZE,
    bold: bool = False,
) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{look}" fill="{COLOURS[look]}" font-size="{size}"'
        f' text-anchor="{anchor}"{weight}>{escape(text)}</text>'
    )


def draw_bar(x: float, y: float, width: float, height: float, *, look: str, round_px: float = 0) -> str:
    corner = f' rx="{round_px:g}"' if round_px else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" height="{max(0.0, height):.1f}"{corner}'
        f' class="{look}" fill="{COLOURS[look]}"/>'
    )


def draw_line(x1: float, y1: float, x2: float, y2: float, *, look: str = "grid") -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        f' class="{look}-line" stroke="{COLOURS[look]}" stroke-width="1"/>'
    )


def draw_bubble(x: float, y: float, radius: float, *, look: str, hint: str) -> str:
    """Seen through, so that bubbles on one spot add up; the hint shows under the pointer."""
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" class="{look}" fill="{COLOURS[look]}" fill-opacity="0.6"'
        f' stroke="{COLOURS["card"]}" stroke-width="1"><title>{escape(hint)}</title></circle>'
    )


def draw_label(x: float, y: float, text: str) -> str:
    """A text with a halo, for a place where other shapes are."""
    halo = f'class="ink halo" stroke="{COLOURS["card"]}" stroke-width="3" paint-order="stroke" stroke-linejoin="round"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {halo} fill="{COLOURS["ink"]}" font-size="{TEXT_SIZE}">{escape(text)}</text>'


def measure_text(text: str, size: int = TEXT_SIZE) -> float:
    """A guess that errs on the wide side: the viewer's font is not known."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return size * (wide + 0.58 * (len(text) - wide))


def fit_text(text: str, width: float, size: int = TEXT_SIZE) -> str:
    """Cuts at the left: the end of a path tells more than its start."""
    if measure_text(text, size) <= width:
        return text
    while len(text) > 1 and measure_text(ELLIPSIS + text, size) > width:
        text = text[1:]
    return ELLIPSIS + text


def choose_step(largest: float, steps: int = 4) -> int:
    """A round number that divides an axis into at most so many parts."""
    rough = max(1.0, largest / steps)
    power = 10 ** math.floor(math.log10(rough))
    return int(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough))


def list_ticks(largest: float, steps: int = 4) -> list[int]:
    step = choose_step(largest, steps)
    return list(range(0, step * (math.ceil(largest / step) or 1) + 1, step))


def show_number(value: int) -> str:
    return f"{value:,}"
