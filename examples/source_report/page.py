"""The page of the report: sections in order, the picture's panels lifted out of their sheet, style included."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from envelope import CannotWork
from findings import Finding
from wording import Figures, show_code

_SVG = "http://www.w3.org/2000/svg"
STYLE = Path(__file__).with_name("report.css")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    name: str
    title: str
    body: str


def draw_findings(findings: Iterable[Finding], apart: frozenset[str], tag: str = "p") -> str:
    return "".join(
        f'<{tag} id="{finding.name}">{finding.say(apart=finding.name in apart)}</{tag}>' for finding in findings
    )


def draw_page(figures: Figures, plot: str, sections: Sequence[Section]) -> str:
    name = escape(figures.look_up("tree.name"))
    links = "".join(f'<a href="#{section.name}">{escape(section.title)}</a>' for section in sections)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>Source report: {name}</title>\n'
        f"<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n<main>\n"
        f'<header><p class="kicker">Source report</p><h1>{name}</h1>{_draw_state(figures)}{_draw_tiles(figures)}'
        f'<nav aria-label="Contents">{links}</nav></header>\n'
        + "\n".join(_draw_section(section, figures, plot) for section in sections)
        + "\n</main>\n</body>\n</html>\n"
    )


def _draw_section(section: Section, figures: Figures, plot: str) -> str:
    """The picture stands before the first section on details."""
    picture = draw_picture(plot) if section.name == "size" else ""
    return f'{picture}<section id="{section.name}"><h2>{escape(section.title)}</h2>{section.body}</section>'


def _draw_state(figures: Figures) -> str:
    if not figures.look_up("history.commits"):
        return (
            f'<p class="state">The directory {show_code(figures.look_up("tree.directory"))}, as found on the disk.</p>'
        )
    changed = figures.count("history.uncommitted", "path differs", "paths differ")
    tail = f"; {changed} from it" if figures.look_up("history.uncommitted") else ""
    return (
        f'<p class="state">As of commit {figures.code("history.head")} on {figures.show("history.last_day")}{tail}.</p>'
    )


def _draw_tiles(figures: Figures) -> str:
    tiles = [
        ("totals.files", "files", ""),
        ("code.code", "lines of code", ""),
        ("code.test_share", "of them tests", "%"),
        ("functions.count", "functions", ""),
        ("functions.median", "lines in a typical one", ""),
        ("history.commits", "commits", ""),
    ]
    return f"<dl>{''.join(_draw_tile(figures, *tile) for tile in tiles)}</dl>"


def _draw_tile(figures: Figures, path: str, meaning: str, unit: str) -> str:
    return f"<div><dt>{meaning}</dt><dd>{figures.show(path, unit)}</dd></div>"


def draw_picture(plot: str) -> str:
    """The panels side by side where there is room, one below the other where there is not."""
    ElementTree.register_namespace("", _SVG)
    try:
        sheet = ElementTree.fromstring(plot)
    except ElementTree.ParseError as error:
        raise CannotWork(f"the plot is not a picture that can be read: {error}") from error
    panels = [panel for panel in sheet.iter(f"{{{_SVG}}}svg") if panel.get("class") == "panel"]
    if not panels:
        raise CannotWork("the plot has no panels")
    for panel in panels:
        for place in ("x", "y", "width", "height"):
            panel.attrib.pop(place, None)
    drawn = "".join(ElementTree.tostring(panel, encoding="unicode") for panel in panels)
    return f'<figure id="plot">{drawn}</figure>\n'
