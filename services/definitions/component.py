"""Plain graph algorithms over numbered nodes, none of them recursive: order, cycles, strongly connected components."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence

Arcs = Sequence[Sequence[int]]
"""For each node, the nodes that its arcs lead to."""


def arcs_of(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the arcs of each of `count` nodes."""
    arcs: list[list[int]] = [[] for _ in range(count)]
    for source, target in pairs:
        arcs[source].append(target)
    return arcs


def topological_order(arcs: Arcs) -> list[int]:
    """Return the nodes that lie on no cycle and behind none, each after those that lead to it, else by number."""
    waiting = [0] * len(arcs)
    for targets in arcs:
        for target in targets:
            waiting[target] += 1
    ready = [node for node, count in enumerate(waiting) if count == 0]
    order: list[int] = []
    while ready:
        node = heapq.heappop(ready)
        order.append(node)
        for target in arcs[node]:
            waiting[target] -= 1
            if waiting[target] == 0:
                heapq.heappush(ready, target)
    return order


def reach(arcs: Arcs, starts: Iterable[int]) -> set[int]:
    """Return the nodes that can be reached from `starts`, these included."""
    seen = set(starts)
    pending = list(seen)
    while pending:
        for target in arcs[pending.pop()]:
            if target not in seen:
                seen.add(target)
                pending.append(target)
    return seen


def components(arcs: Arcs) -> list[list[int]]:
    """Return the strongly connected components, each sorted, those that others lead to last (Tarjan)."""
    state = _Tarjan(arcs)
    for node in range(len(arcs)):
        if state.index[node] < 0:
            state.visit(node)
    state.found.reverse()
    return state.found


def cycle_in(arcs: Arcs, component: Sequence[int]) -> list[int]:
    """Return a shortest cycle through the first node of a component that has one, without repeating that node."""
    start, inside = component[0], set(component)
    came_from: dict[int, int] = {}
    pending = [start]
    for node in pending:
        for target in arcs[node]:
            if target == start:
                return _path(came_from, start, node)
            if target in inside and target not in came_from:
                came_from[target] = node
                pending.append(target)
    return []


def _path(came_from: dict[int, int], start: int, end: int) -> list[int]:
    path = [end]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return path[::-1]


class _Tarjan:
    """The state of one search for components."""

    def __init__(self, arcs: Arcs) -> None:
        self.arcs = arcs
        self.index = [-1] * len(arcs)
        self.low = [0] * len(arcs)
        self.open = [False] * len(arcs)
        self.stack: list[int] = []
        self.found: list[list[int]] = []
        self.count = 0

    def visit(self, root: int) -> None:
        self._enter(root)
        pending = [(root, iter(self.arcs[root]))]
        while pending:
            node, targets = pending[-1]
            target = next(targets, None)
            if target is None:
                pending.pop()
                self._leave(node, pending[-1][0] if pending else None)
            elif self.index[target] < 0:
                self._enter(target)
                pending.append((target, iter(self.arcs[target])))
            elif self.open[target]:
                self.low[node] = min(self.low[node], self.index[target])

    def _enter(self, node: int) -> None:
        self.index[node] = self.low[node] = self.count
        self.count += 1
        self.stack.append(node)
        self.open[node] = True

    def _leave(self, node: int, parent: int | None) -> None:
        if parent is not None:
            self.low[parent] = min(self.low[parent], self.low[node])
        if self.low[node] != self.index[node]:
            return
        component: list[int] = []
        while not component or component[-1] != node:
            component.append(self.stack.pop())
            self.open[component[-1]] = False
        self.found.append(sorted(component))


class GrowingOrder:
    """A topological order that takes further arcs, in the manner of Pearce and Kelly.

    Adding costs what lies between the two ends in the order, nothing when they already stand right.
    """

    def __init__(self, arcs: Arcs) -> None:
        self._out = [list(targets) for targets in arcs]
        self._in = arcs_of(len(arcs), ((t, s) for s, targets in enumerate(arcs) for t in targets))
        self.rank = [0] * len(arcs)
        for place, node in enumerate(topological_order(arcs)):
            self.rank[node] = place

    def add(self, source: int, target: int) -> bool:
        """Add an arc and return True; or return False, and add nothing, when it would close a cycle."""
        if self.rank[source] >= self.rank[target]:
            behind = self._search(self._out, target, lambda rank: rank <= self.rank[source])
            if source in behind:
                return False
            before = self._search(self._in, source, lambda rank: rank >= self.rank[target])
            self._reorder(before, behind)
        self._out[source].append(target)
        self._in[target].append(source)
        return True

    def _search(self, arcs: Arcs, start: int, inside: Callable[[int], bool]) -> set[int]:
        seen = {start}
        pending = [start]
        while pending:
            for node in arcs[pending.pop()]:
                if node not in seen and inside(self.rank[node]):
                    seen.add(node)
                    pending.append(node)
        return seen

    def _reorder(self, before: set[int], behind: set[int]) -> None:
        nodes = sorted(before, key=self.rank.__getitem__) + sorted(behind, key=self.rank.__getitem__)
        places = sorted(self.rank[node] for node in nodes)
        for node, place in zip(nodes, places, strict=True):
            self.rank[node] = place
