"""The author: the article, with its answer first, a picture on logarithmic axes and every figure."""

import json
import math
from html import escape
from typing import Any

WIDTH, HEIGHT, MARGIN = 640, 360, 48
COLOURS = ("#d9542b", "#2f6690")


def publish(inputs: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    design, analysis = json.loads(inputs["design"]), json.loads(inputs["analysis"])
    first, second = design["methods"]
    crossing = analysis["crossing"]
    answer = (
        f"From a length of {crossing} on, {second} needs fewer comparisons than {first}."
        if crossing
        else f"Up to a length of {design['lengths'][-1]}, {second} never needs fewer comparisons than {first} for good."
    )
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(design["question"])}</title>'
        "<style>body{font:16px/1.6 Georgia,serif;max-width:44rem;margin:2rem auto;padding:0 1rem}"
        "table{border-collapse:collapse}td,th{padding:.2rem 1rem;border-bottom:1px solid #ddd;text-align:right}"
        ".answer{font-size:1.2rem;border-left:4px solid #2f6690;padding-left:1rem}</style>"
        f'<h1>{escape(design["question"])}</h1><p class="answer">{escape(answer)}</p>'
        f"<h2>Method</h2><p>For each of {len(design['lengths'])} lengths, {analysis['repeats']} lists of random "
        f"numbers (seed {design['seed']}) were sorted by both methods, and every comparison was counted. The error of "
        f"each mean is at most {100 * analysis['worst_error']:.1f} %; {100 * design['precision']:.0f} % were "
        "asked for.</p>"
        f"<h2>Result</h2>{_draw(design, analysis)}{_table(design, analysis)}</html>\n"
    )
    return {"crossing": crossing or 0}, {"article": page}


def _table(design: dict[str, Any], analysis: dict[str, Any]) -> str:
    heads = "".join(f"<th>{escape(name)}</th>" for name in ("length", *design["methods"]))
    lines = []
    for row in analysis["rows"]:
        cells = "".join(f"<td>{value:,.1f} ± {error:.2f}</td>" for value, error in row["figures"])
        lines.append(f"<tr><td>{row['length']}</td>{cells}</tr>")
    return f"<table><tr>{heads}</tr>{''.join(lines)}</table>"


def _draw(design: dict[str, Any], analysis: dict[str, Any]) -> str:
    rows = analysis["rows"]
    top = max(2.0, *(value for row in rows for value, _ in row["figures"]))
    wide = max(2, rows[-1]["length"])
    shapes = []
    for number, (name, colour) in enumerate(zip(design["methods"], COLOURS, strict=True)):
        points = [_place(row["length"], row["figures"][number][0], wide, top) for row in rows]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        x, y = points[-1]
        shapes.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        shapes.append(f'<text x="{x + 6:.1f}" y="{y + 4:.1f}" fill="{colour}">{escape(name)}</text>')
    for row in rows:
        x, _ = _place(row["length"], 1, wide, top)
        shapes.append(f'<text x="{x:.1f}" y="{HEIGHT - 20}" text-anchor="middle" fill="#666">{row["length"]}</text>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Comparisons by length, on logarithmic axes"'
        f' font-family="sans-serif" font-size="12">{"".join(shapes)}</svg>'
    )


def _place(length: int, value: float, wide: int, top: float) -> tuple[float, float]:
    x = MARGIN + math.log(max(1, length)) / math.log(wide) * (WIDTH - 3 * MARGIN)
    return x, HEIGHT - MARGIN - math.log(max(1.0, value)) / math.log(top) * (HEIGHT - 2 * MARGIN)
