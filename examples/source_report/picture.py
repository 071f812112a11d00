"""The picture of a source tree: four panels on one sheet, a complete SVG file whose panels can also be lifted out."""

from collections.abc import Sequence
from html import escape
from typing import Any

from charts import HEIGHT, LEFT, RIGHT, WIDTH
from drawing import COLOURS, FONT, draw_bar, draw_text, measure_text
from panels import Panel, choose_panels

GAP = 16
HEAD = 60


def draw_picture(statistics: dict[str, Any], hot_spots: Sequence[dict[str, Any]]) -> str:
    panels = choose_panels(statistics, hot_spots) or [_show_nothing(statistics)]
    columns = 1 if len(panels) == 1 else 2
    rows = (len(panels) + 1) // 2
    width, height = GAP + columns * (WIDTH + GAP), HEAD + rows * (HEIGHT + GAP)
    title = f"The source tree {statistics['tree']['name']} in pictures"
    placed = [
        _draw_panel(panel, GAP + (number % 2) * (WIDTH + GAP), HEAD + (number // 2) * (HEIGHT + GAP))
        for number, panel in enumerate(panels)
    ]
    words = escape(" ".join(panel.words for panel in panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" aria-labelledby="plot-title plot-words" font-family="{FONT}">\n'
        f'<title id="plot-title">{escape(title)}</title>\n<desc id="plot-words">{words}</desc>\n'
        f"{draw_bar(0, 0, width, height, look='paper')}{draw_text(GAP + 4, 38, title, size=20, bold=True)}\n"
        + "\n".join(placed)
        + "\n</svg>\n"
    )


def _draw_panel(panel: Panel, x: int, y: int) -> str:
    card = (
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="8" class="card"'
        f' fill="{COLOURS["card"]}" stroke="{COLOURS["edge"]}"/>'
    )
    heading = draw_text(LEFT, 30, panel.title, size=15, bold=True) + draw_text(LEFT, 49, panel.hint, look="muted")
    return (
        f'<svg class="panel" id="panel-{panel.name}" x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}"'
        f' viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(f"{panel.title}. {panel.words}")}">'
        f"{card}{heading}{_draw_legend(panel)}{panel.body}</svg>"
    )


def _draw_legend(panel: Panel) -> str:
    """At the top right, read from its end to its start."""
    x = float(WIDTH - RIGHT)
    shapes = []
    for look, meaning in reversed(panel.legend):
        x -= measure_text(meaning)
        shapes.append(draw_text(x, 49, meaning, look="muted"))
        x -= 15
        shapes.append(draw_bar(x, 40, 10, 10, look=look, round_px=2))
        x -= 14
    return "".join(shapes)


def _show_nothing(statistics: dict[str, Any]) -> Panel:
    reason = "The tree holds files, but no text." if statistics["totals"]["files"] else "The tree is empty."
    body = draw_text(WIDTH / 2, HEIGHT / 2 + 10, "Nothing to draw", look="muted", anchor="middle", size=18)
    return Panel(name="nothing", title="Nothing to see yet", hint=reason, words=reason, body=body)
