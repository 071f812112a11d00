"""A tree of causes as text: each line was caused by the one above it at its depth, or by the one it hangs from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.audit.outline import outline
from services.audit.summary import summarise
from services.audit.trace import Node, actor_of, is_bad

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree


def print_tree(root: Node) -> None:
    """Print the tree on stdout, as wide as the terminal."""
    import sys

    from rich.console import Console

    console = Console(highlight=False)
    if not sys.stdout.isatty():
        console = Console(highlight=False, width=1000, no_color=True)
    console.print(_render(root))


def _render(root: Node) -> Tree:
    from rich.tree import Tree

    start_ms = root.envelope.time_ms
    above = [Tree(f"{root.envelope.id}", hide_root=True)]  # by depth, what a line hangs from
    for depth, node in outline(root):
        del above[depth + 1 :]
        above.append(above[depth].add(_line(node, start_ms)))
    return above[0]


def _line(node: Node, start_ms: int) -> Text:
    from rich.text import Text

    envelope = node.envelope
    kind = type(envelope.record).__name__
    text = Text(f"{_offset(envelope.time_ms - start_ms):>9}  ", "bright_black")
    text.append(kind, "bold red" if is_bad(node) else "bold" if envelope.origin.role else "cyan")
    text.append(f"  {summarise(envelope.record)}" if summarise(envelope.record) else "")
    who = envelope.origin.role or f"{envelope.origin.kind} {actor_of(envelope)}".strip()
    text.append(f"  {who} {node.at}", "bright_black")
    return text


def _offset(ms: int) -> str:
    return f"{ms / 1000:+.3f} s" if abs(ms) < 1_000_000 else f"{ms // 1000:+d} s"
