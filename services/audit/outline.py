"""A tree of causes as lines with a depth: a chain of causes stays at one depth, side branches hang below."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from services.audit.trace import Node

DEPTH_MAX = 40
"""Deepest indentation; what is deeper goes on at this depth."""


class Line(NamedTuple):
    """A record in its place: caused by the one above it at its depth, or by the one that it hangs from."""

    depth: int
    node: Node


def outline(root: Node) -> Iterator[Line]:
    """The lines from the top down. Of several that a record led to, the one that led furthest goes on at its depth."""
    sizes = measure(root)
    waiting = [Line(0, root)]
    while waiting:
        depth, node = waiting.pop()
        yield Line(depth, node)
        if not node.children:
            continue
        main = _heaviest(node, sizes)
        waiting.append(Line(depth, main))
        below = min(depth + 1, DEPTH_MAX)
        waiting.extend(Line(below, child) for child in reversed(node.children) if child is not main)


def _heaviest(node: Node, sizes: dict[int, int]) -> Node:
    """The child with the most below it; of equals the last in time."""
    return max(enumerate(node.children), key=lambda pair: (sizes[id(pair[1])], pair[0]))[1]


def measure(root: Node) -> dict[int, int]:
    """How many nodes each node has below it and with it, by its identity."""
    sizes: dict[int, int] = {}
    for node in reversed(list(root.walk())):
        sizes[id(node)] = 1 + sum(sizes[id(child)] for child in node.children)
    return sizes
