"""A tree of causes as a diagram: a box for each record, an arrow from each cause to what it led to."""

from __future__ import annotations

from services.audit.summary import summarise
from services.audit.trace import Node, actor_of, is_bad
from services.diagram import Arrow, Box, Diagram, Form, State

BOXES_MAX = 400
"""Most boxes of a drawing; Mermaid draws no more than 500 arrows."""

_FORMS: dict[str, Form] = {"ask": "round", "report": "hexagon"}


def draw_trace(root: Node, title: str) -> Diagram:
    """Draw the tree, its first records where it has more than BOXES_MAX."""
    nodes = list(root.walk())
    shown = sorted(nodes, key=lambda node: (node.envelope.time_ms, *node.at))[:BOXES_MAX]
    names = {str(node.at) for node in shown} | {str(root.at)}
    boxes = [_box(node, root.envelope.time_ms) for node in nodes if str(node.at) in names]
    arrows = [
        Arrow(source=str(node.at), target=str(child.at))
        for node in nodes
        for child in node.children
        if {str(node.at), str(child.at)} <= names
    ]
    left_out = len(nodes) - len(boxes)
    return Diagram(title=title + (f" (and {left_out} records more)" if left_out else ""), boxes=boxes, arrows=arrows)


def _box(node: Node, start_ms: int) -> Box:
    envelope = node.envelope
    after = f"+{(envelope.time_ms - start_ms) / 1000:.3f} s"
    lines = [type(envelope.record).__name__, summarise(envelope.record), f"{after} {actor_of(envelope)} {node.at}"]
    return Box(
        name=str(node.at),
        lines=[line for line in lines if line],
        form=_FORMS.get(envelope.origin.kind, "box"),
        state=_state(node),
    )


def _state(node: Node) -> State:
    if is_bad(node):
        return "failed"
    return "completed" if type(node.envelope.record).__name__.endswith("Completed") else ""
