"""Things by id in the order of their making, to be looked through page by page."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Iterator, MutableMapping
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Mark(NamedTuple):
    """Where a thing stands on a shelf."""

    made_ms: int
    id: str


class Shelf(MutableMapping[str, T], Generic[T]):
    """A mapping by id that also keeps the order of making, and only so many of those that are over.

    `made_ms` and `is_over` say when a thing was made and whether it has ended.
    """

    def __init__(self, made_ms: Callable[[T], int], is_over: Callable[[T], bool], over_max: int) -> None:
        self._made_ms, self._is_over, self._over_max = made_ms, is_over, over_max
        self._things: dict[str, T] = {}
        self._marks: list[Mark] = []
        self._over: OrderedDict[str, None] = OrderedDict()

    def __getitem__(self, key: str) -> T:
        return self._things[key]

    def __setitem__(self, key: str, thing: T) -> None:
        if key in self._things:
            self._unmark(key)
        self._things[key] = thing
        insort(self._marks, Mark(self._made_ms(thing), key))
        self.settle(key)

    def settle(self, key: str) -> None:
        """Note whether a thing that changed in place is over; the oldest ones that are over make room."""
        if not self._is_over(self._things[key]):
            self._over.pop(key, None)
            return
        self._over.setdefault(key)
        while len(self._over) > self._over_max:
            del self[next(iter(self._over))]

    def __delitem__(self, key: str) -> None:
        self._unmark(key)
        del self._things[key]
        self._over.pop(key, None)

    def _unmark(self, key: str) -> None:
        mark = Mark(self._made_ms(self._things[key]), key)
        del self._marks[bisect_right(self._marks, mark) - 1]

    def __iter__(self) -> Iterator[str]:
        return (mark.id for mark in self._marks)

    def __len__(self) -> int:
        return len(self._things)

    def page(self, after: Mark | None, length_max: int, keep: Callable[[T], bool]) -> tuple[list[T], Mark | None]:
        """The next things behind a mark that are to be kept, and the mark to go on from if there are more."""
        found: list[T] = []
        last: Mark | None = None
        for mark in self._marks[bisect_right(self._marks, after) if after else 0 :]:
            if not keep(thing := self._things[mark.id]):
                continue
            if len(found) == length_max:
                return found, last
            found.append(thing)
            last = mark
        return found, None
