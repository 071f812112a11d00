"""The reporter: tells in plain sentences what the analyst found and how far it can be trusted."""

import json
import sys
from collections.abc import Iterator
from html import escape
from typing import Any

STEADY_PERCENT = 3
_STYLE = """
body { margin: 0; background: #fbfcfd; color: #1f2a37; font: 17px/1.6 system-ui, sans-serif; }
main { max-width: 47.5rem; margin: 0 auto; padding: 3rem 1.25rem; }
h1 { margin: 0 0 .3rem; font-size: 2rem; line-height: 1.2; }
h2 { margin: 2.4rem 0 .5rem; font-size: 1.25rem; }
p { margin: 0 0 .8rem; }
.state { color: #5d6b7a; }
figure { margin: 1.5rem 0; border: 1px solid #dfe5eb; border-radius: 8px; overflow-x: auto; }
figure svg { display: block; width: 100%; min-width: 32rem; height: auto; }
.table { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .94rem; font-variant-numeric: tabular-nums; }
th { border-bottom: 1px solid #5d6b7a; text-align: right; vertical-align: bottom; }
td { border-bottom: 1px solid #dfe5eb; text-align: right; }
th, td { padding: .35rem .6rem .35rem 0; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
"""


def report(inputs: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    findings, quality = json.loads(inputs["findings"]), json.loads(inputs["quality"])
    sentences = [*tell_findings(findings), *tell_quality(quality)]
    print(f"{len(sentences)} sentences written", file=sys.stderr)
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Visits</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Visits</h1>\n"
        f'<p class="state">Weeks from {findings["first_week"]} to {findings["last_week"]}</p>\n'
        f"<p>{' '.join(tell_findings(findings))}</p>\n<figure>{inputs['chart']}</figure>\n"
        f"<h2>Branches</h2>\n{draw_branches(findings['branches'])}\n"
        f"<h2>How far to trust this</h2>\n<p>{' '.join(tell_quality(quality))}</p>\n"
        f"{draw_reasons(quality['reasons'])}\n"
        "</main>\n</body>\n</html>\n"
    )
    return {"sentences": len(sentences)}, {"report": page}


def tell_findings(findings: dict[str, Any]) -> Iterator[str]:
    first = findings["branches"][0]
    share = round(100 * first["visitors"] / findings["visitors"]) if findings["visitors"] else 0
    yield f"{findings['visitors']:,} visitors came and {findings['loans']:,} items were lent."
    yield f"{escape(first['name'])} had the most visitors, {share}% of all."
    for branch in findings["branches"]:
        yield f"{escape(branch['name'])} {_tell_change(branch['change_percent'])}."
    keen = max(findings["branches"], key=lambda branch: float(branch["loans_a_visitor"]))
    yield f"At {escape(keen['name'])} a visitor borrows the most, {keen['loans_a_visitor']} items."


def _tell_change(percent: int) -> str:
    if abs(percent) < STEADY_PERCENT:
        return "kept steady"
    return f"{'grew' if percent > 0 else 'lost'} {abs(percent)}% over the time"


def tell_quality(quality: dict[str, Any]) -> Iterator[str]:
    yield f"{quality['share_percent']}% of the rows could be used, {quality['rejected']} were sorted out."
    yield f"{quality['holes']} weeks of single branches have no row."
    yield "The findings stand on firm ground." if quality["trusted"] else "Read the findings as hints, not as facts."


def draw_branches(branches: list[dict[str, Any]]) -> str:
    head = ("Branch", "Visitors", "A week", "Change", "Loans", "Loans a visitor", "Fullest week")
    rows = [
        (
            escape(branch["name"]),
            f"{branch['visitors']:,}",
            f"{branch['visitors_a_week']:,}",
            f"{branch['change_percent']:+}%",
            f"{branch['loans']:,}",
            f"{branch['loans_a_visitor']}",
            f"{branch['fullest_week']} ({branch['fullest_visitors']:,})",
        )
        for branch in branches
    ]
    return draw_table(head, rows)


def draw_reasons(reasons: list[dict[str, Any]]) -> str:
    rows = [(escape(entry["reason"]), str(entry["rows"])) for entry in reasons]
    return draw_table(("Why rows were sorted out", "Rows"), rows) if rows else ""


def draw_table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="table"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
