"""Deadlines as data: a persistent set of named times that knows its first one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from immutables import Map


class _Node(NamedTuple):
    """A leftist heap: the smallest of its tree at the top, the shorter spine on the right."""

    at_ms: int
    name: str
    rank: int
    left: _Node | None
    right: _Node | None


def _merge(a: _Node | None, b: _Node | None) -> _Node | None:
    """Both heaps in one; walks the right spines only, which are logarithmic."""
    spine: list[_Node] = []
    while a is not None and b is not None:
        if (b.at_ms, b.name) < (a.at_ms, a.name):
            a, b = b, a
        spine.append(a)
        a = a.right
    rest = a if b is None else b
    for node in reversed(spine):
        left, right = node.left, rest
        if (left.rank if left else 0) < (right.rank if right else 0):
            left, right = right, left
        rest = _Node(node.at_ms, node.name, (right.rank if right else 0) + 1, left, right)
    return rest


class Deadlines:
    """Named times in Unix milliseconds. Every change gives a new value in O(log n); `first` is O(1).

    Times that were changed or cleared stay in the heap until they come to its top, or until they outnumber the rest.
    """

    __slots__ = ("_heap", "_size", "times")

    def __init__(self, times: Map[str, int] | None = None, _heap: _Node | None = None, _size: int = 0) -> None:
        self.times: Map[str, int] = Map() if times is None else times
        self._heap, self._size = _heap, _size
        if times and _heap is None:
            for name, at_ms in sorted(times.items()):
                self._heap = _merge(self._heap, _Node(at_ms, name, 1, None, None))
            self._size = len(times)

    __snapshot__ = True

    def __reduce__(self) -> tuple[type[Deadlines], tuple[Map[str, int]]]:
        """The times alone: the heap follows from them, and may be deep."""
        return Deadlines, (self.times,)

    def set(self, name: str, at_ms: int) -> Deadlines:
        """With this deadline at this time, wherever it was before."""
        heap = _merge(self._heap, _Node(at_ms, name, 1, None, None))
        return _tidied(self.times.set(name, at_ms), heap, self._size + 1)

    def clear(self, name: str) -> Deadlines:
        """Without this deadline; it need not be there."""
        if name not in self.times:
            return self
        return _tidied(self.times.delete(name), self._heap, self._size)

    def first(self) -> tuple[int, str] | None:
        """The earliest as (time, name); of equal times the smallest name."""
        return (self._heap.at_ms, self._heap.name) if self._heap else None

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(sorted(self.times.items()))

    def __len__(self) -> int:
        return len(self.times)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Deadlines) and self.times == other.times

    def __hash__(self) -> int:
        return hash(self.times)

    def __repr__(self) -> str:
        return f"Deadlines({dict(self)})"


def _tidied(times: Map[str, int], heap: _Node | None, size: int) -> Deadlines:
    if size > 2 * len(times) + 64:
        return Deadlines(times)
    while heap is not None and times.get(heap.name) != heap.at_ms:
        heap, size = _merge(heap.left, heap.right), size - 1
    return Deadlines(times, heap, size) if times else Deadlines()
