"""Boxes and arrows, written as Mermaid or as DOT; whatever stands in them is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

TEXT_CHARS_MAX = 160
"""Longest line in a box or on an arrow."""

Form = Literal["box", "round", "hexagon", "double", "circle"]
State = Literal["", "completed", "failed", "cancelled", "skipped", "active", "quiet"]

_FORMS: dict[Form, tuple[str, str, str]] = {
    "box": ("[", "]", "box"),
    "round": ("([", "])", "oval"),
    "hexagon": ("{{", "}}", "hexagon"),
    "double": ("[[", "]]", "box3d"),
    "circle": ("((", "))", "doublecircle"),
}
_COLOURS: dict[State, tuple[str, str]] = {  # fill and line
    "completed": ("#d7f5dd", "#1a7f37"),
    "failed": ("#ffd8d6", "#cf222e"),
    "cancelled": ("#fff1c2", "#9a6700"),
    "skipped": ("#f0f0f0", "#8c959f"),
    "active": ("#d6ebff", "#0969da"),
    "quiet": ("#ffffff", "#8c959f"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Something with a few lines of text; `group` is the name of the frame that it stands in."""

    name: str
    lines: Sequence[str]
    form: Form = "box"
    state: State = ""
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """From one box to another, by their names."""

    source: str
    target: str
    text: str = ""
    dashed: bool = False
    thick: bool = False
    quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A frame around boxes and other frames."""

    name: str
    title: str
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagram:
    """Boxes in their order, the arrows between them, and the frames around them."""

    title: str
    boxes: Sequence[Box]
    arrows: Sequence[Arrow]
    frames: Sequence[Frame] = ()
    downwards: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """A short name that needs no escape for each box and frame, and what stands in each frame."""

    ids: Mapping[str, str]
    boxes: Mapping[str, Sequence[Box]]
    frames: Mapping[str, Sequence[Frame]]


def _order(diagram: Diagram) -> _Order:
    boxes = {box.name: f"n{number}" for number, box in enumerate(diagram.boxes)}
    frames = {f"frame {frame.name}": f"cluster_{number}" for number, frame in enumerate(diagram.frames)}
    return _Order(ids=boxes | frames, boxes=_by_group(diagram.boxes), frames=_by_group(diagram.frames))


Member = TypeVar("Member", Box, Frame)


def _by_group(members: Iterable[Member]) -> dict[str, list[Member]]:
    found: dict[str, list[Member]] = {}
    for each in members:
        found.setdefault(each.group, []).append(each)
    return found


def to_mermaid(diagram: Diagram) -> str:
    """A Mermaid flowchart."""
    order = _order(diagram)
    lines = ["---", f"title: {_yaml(diagram.title)}", "---", f"flowchart {'TD' if diagram.downwards else 'LR'}"]
    lines += _mermaid_group(order, "", 1)
    lines += [f"    {_mermaid_arrow(arrow, order.ids)}" for arrow in diagram.arrows]
    faded = [str(number) for number, arrow in enumerate(diagram.arrows) if arrow.quiet]
    if faded:
        lines.append(f"    linkStyle {','.join(faded)} stroke:{_COLOURS['quiet'][1]},opacity:0.5")
    for state in sorted({box.state for box in diagram.boxes} - {""}):
        fill, line = _COLOURS[state]
        lines.append(f"    classDef {state} fill:{fill},stroke:{line},color:#1f2328")
    return "\n".join(lines) + "\n"


def to_dot(diagram: Diagram) -> str:
    """A DOT graph, for Graphviz."""
    order = _order(diagram)
    lines = ["digraph {", f"    label={_quoted(diagram.title)}; labelloc=t;"]
    lines += [f"    rankdir={'TB' if diagram.downwards else 'LR'};", '    node [fontname="sans-serif"];']
    lines += ['    edge [fontname="sans-serif", fontsize=10];']
    lines += _dot_group(order, "", 1)
    lines += [f"    {_dot_arrow(arrow, order.ids)}" for arrow in diagram.arrows]
    return "\n".join([*lines, "}"]) + "\n"


def _mermaid_group(order: _Order, group: str, depth: int) -> Iterator[str]:
    indent = "    " * depth
    for box in order.boxes.get(group, ()):
        left, right, _ = _FORMS[box.form]
        text = "<br/>".join(_entities(line) for line in box.lines)
        yield f'{indent}{order.ids[box.name]}{left}"{text}"{right}' + (f":::{box.state}" if box.state else "")
    for frame in order.frames.get(group, ()):
        yield f'{indent}subgraph {order.ids["frame " + frame.name]}["{_entities(frame.title)}"]'
        yield from _mermaid_group(order, frame.name, depth + 1)
        yield f"{indent}end"


def _mermaid_arrow(arrow: Arrow, ids: Mapping[str, str]) -> str:
    line = "-.->" if arrow.dashed else "==>" if arrow.thick else "-->"
    text = f'|"{_entities(arrow.text)}"|' if arrow.text else ""
    return f"{ids[arrow.source]} {line}{text} {ids[arrow.target]}"


def _dot_group(order: _Order, group: str, depth: int) -> Iterator[str]:
    indent = "    " * depth
    for box in order.boxes.get(group, ()):
        yield f"{indent}{order.ids[box.name]} [{_dot_box(box)}];"
    for frame in order.frames.get(group, ()):
        yield f"{indent}subgraph {order.ids['frame ' + frame.name]} {{"
        yield f"{indent}    label={_quoted(frame.title)};"
        yield from _dot_group(order, frame.name, depth + 1)
        yield f"{indent}}}"


def _dot_box(box: Box) -> str:
    parts = [f"shape={_FORMS[box.form][2]}", f"label={_quoted(*box.lines)}"]
    if box.state:
        fill, line = _COLOURS[box.state]
        parts.append(f'style=filled, fillcolor="{fill}", color="{line}"')
    return ", ".join(parts)


def _dot_arrow(arrow: Arrow, ids: Mapping[str, str]) -> str:
    parts = [f"label={_quoted(arrow.text)}"] if arrow.text else []
    parts += ["style=dashed"] if arrow.dashed else ["style=bold"] if arrow.thick else []
    parts += [f'color="{_COLOURS["quiet"][1]}"'] if arrow.quiet else []
    return f"{ids[arrow.source]} -> {ids[arrow.target]}" + (f" [{', '.join(parts)}]" if parts else "") + ";"


def shorten(text: str, chars_max: int = TEXT_CHARS_MAX) -> str:
    """One line without what cannot be printed, no longer than this."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * chars_max]).split())
    return line if len(line) <= chars_max else line[: chars_max - 1] + "…"


def _entities(text: str) -> str:
    """Mermaid reads `#NUMBER;` as a character; all that means something to it, or to HTML, is written so."""
    return "".join(char if char.isalnum() or char in " _,.:-+/…≤×→" else f"#{ord(char)};" for char in shorten(text))


def _quoted(*lines: str) -> str:
    """DOT knows two escapes in a text, and `\\n` between lines."""
    escaped = [shorten(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines]
    return '"' + "\\n".join(escaped) + '"'


def _yaml(text: str) -> str:
    return '"' + shorten(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
