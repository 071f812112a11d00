"""A tree of causes as text: each line was caused by the one above it at its depth, or by the one it hangs from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from services.audit.summary import summarise
from services.audit.trace import Node

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

DEPTH_MAX = 40
"""Deepest indentation; what is deeper goes on at this depth."""


def print_tree(root: Node) -> None:
    """Print the tree on stdout, as wide as the terminal."""
    import sys

    from rich.console import Console

    console = Console(highlight=False)
    if not sys.stdout.isatty():
        console = Console(highlight=False, width=1000, no_color=True)
    console.print(_render(root))


def _render(root: Node) -> Tree:
    """A chain of causes stays at one depth; of several that a record led to, the shorter branches hang below it."""
    from rich.tree import Tree

    sizes = measure(root)
    start_ms = root.envelope.time_ms
    top = Tree(f"{root.envelope.id}", hide_root=True)
    waiting: list[tuple[Tree, Node, int]] = [(top, root, 0)]
    while waiting:
        tree, node, depth = waiting.pop()
        for each in _chain(node, sizes):
            line = tree.add(_line(each, start_ms))
            branches = _branches(each, sizes)
            below = line if depth < DEPTH_MAX else tree
            waiting.extend((below, branch, depth + 1) for branch in reversed(branches))
    return top


def _chain(node: Node, sizes: dict[int, int]) -> Iterator[Node]:
    yield node
    while node.children:
        node = _heaviest(node, sizes)
        yield node


def _heaviest(node: Node, sizes: dict[int, int]) -> Node:
    """The child with the most below it; of equals the last in time."""
    return max(enumerate(node.children), key=lambda pair: (sizes[id(pair[1])], pair[0]))[1]


def _branches(node: Node, sizes: dict[int, int]) -> list[Node]:
    main = _heaviest(node, sizes) if node.children else None
    return [child for child in node.children if child is not main]


def measure(root: Node) -> dict[int, int]:
    """How many nodes each node has below it and with it, by its identity."""
    sizes: dict[int, int] = {}
    for node in reversed(list(root.walk())):
        sizes[id(node)] = 1 + sum(sizes[id(child)] for child in node.children)
    return sizes


def _line(node: Node, start_ms: int) -> Text:
    from rich.text import Text

    envelope = node.envelope
    kind = type(envelope.record).__name__
    text = Text(f"{_offset(envelope.time_ms - start_ms):>9}  ", "bright_black")
    text.append(kind, "bold red" if _is_bad(node) else "bold" if envelope.origin.role else "cyan")
    text.append(f"  {summarise(envelope.record)}" if summarise(envelope.record) else "")
    text.append(f"  {envelope.origin.role or envelope.origin.kind} {node.at}", "bright_black")
    return text


def _is_bad(node: Node) -> bool:
    kind = type(node.envelope.record).__name__
    status = getattr(node.envelope.record, "status", "")
    return status == "failed" or kind.endswith(("Refused", "Failed", "Lost", "Conflicted"))


def _offset(ms: int) -> str:
    return f"+{ms / 1000:.3f} s" if ms < 1_000_000 else f"+{ms // 1000} s"
