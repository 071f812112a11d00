"""Checks that every join can fire: enough branches lead to it, and enough of them can be taken in one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from operator import and_, or_

from services.definitions.branch import Branch
from services.definitions.component import arcs_of, components
from services.definitions.finding import Findings
from services.definitions.graph import Graph

CHOICES_MAX = 4_096
"""Most exclusive choices that are followed; in a larger workflow joins are checked by counting branches alone."""

_Way = tuple[int, str]
"""A stage outside all loops and one of the ways of which it takes only one."""


def check_joins(findings: Findings, graph: Graph, alive: frozenset[int], dead: Mapping[int, str]) -> None:
    """Report joins that wait for more than can come."""
    joins = [(number, wanted) for number, wanted in _demanding(graph) if number in alive]
    needs = _Needs(graph) if joins else None
    for number, wanted in joins:
        branches = graph.forward_in[number]
        if wanted > len(branches):
            reason = f"the join can never fire: it waits for {wanted} of {len(branches)} branches"
            findings.add(("stages", number, "join"), reason, "ask for fewer or lead more edges to it")
            continue
        possible = [b for b in branches if b.index not in dead and b.source in alive]
        count, by = needs.most_at_once(possible) if needs else (len(possible), None)
        if count < wanted:
            cause = f"`{graph.stages[by].id}` takes only one of the ways to it" if by is not None else "others are dead"
            reason = f"the join can never fire: it waits for {wanted} branches, at most {count} can come, for {cause}"
            findings.add(("stages", number, "join"), reason, "use `join: active`, which waits for what was taken")


def _demanding(graph: Graph) -> Iterator[tuple[int, int]]:
    """Yield the joins that need more than one branch, and how many."""
    for number, stage in enumerate(graph.stages):
        branches = len(graph.forward_in[number])
        if stage.join.mode == "all" and branches > 1:
            yield number, branches
        if stage.join.mode == "at_least" and stage.join.at_least:
            yield number, stage.join.at_least


class _Needs:
    """For each stage, which exclusive ways must have been taken for it to run, as bits."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._ways: list[_Way] = []
        self._bits: dict[_Way, int] = {}
        self._rows = [0] * len(graph.stages)
        self._exclusive = [self._is_exclusive(number) for number in range(len(graph.stages))]
        for group in components(arcs_of(len(graph.stages), ((b.source, b.target) for b in graph.branches))):
            self._fill(group)

    def most_at_once(self, branches: list[Branch]) -> tuple[int, int | None]:
        """Return how many of the branches one run can take at most, and the stage whose choice bounds it."""
        rows = [self._row(branch) for branch in branches]
        best, by = len(rows), None
        for source in sorted({self._ways[bit][0] for row in rows for bit in _bits(row)}):
            count = self._most_for(source, rows)
            if count < best:
                best, by = count, source
        return best, by

    def _most_for(self, source: int, rows: list[int]) -> int:
        free, counts = 0, dict[_Way, int]()
        for row in rows:
            ways = [self._ways[bit] for bit in _bits(row) if self._ways[bit][0] == source]
            if not ways:
                free += 1
            elif len(ways) == 1:
                counts[ways[0]] = counts.get(ways[0], 0) + 1
        return free + max(counts.values(), default=0)

    def _is_exclusive(self, number: int) -> bool:
        stage, branches = self._graph.stages[number], self._graph.out[number]
        chooses = stage.choose == "first" or any(b.otherwise for b in branches) or bool(self._graph.routes[number])
        return chooses and self._graph.loop_of[number] < 0 and len(self._ways) < CHOICES_MAX

    def _fill(self, group: list[int]) -> None:
        inside = set(group)
        entries = [b for n in group for b in self._graph.forward_in[n] if b.source not in inside]
        rows = [self._row(branch) for branch in entries]
        if not rows or not inside.isdisjoint(self._graph.starts):
            return
        # A stage that waits for all has the needs of all; otherwise sure is only what every way to it needs.
        for_all = len(group) == 1 and self._graph.stages[group[0]].join.mode == "all"
        row = reduce(or_ if for_all else and_, rows)
        for number in group:
            self._rows[number] = row

    def _row(self, branch: Branch) -> int:
        row = self._rows[branch.source]
        if not self._exclusive[branch.source]:
            return row
        way = (branch.source, self._way(branch))
        if way not in self._bits:
            if len(self._ways) >= CHOICES_MAX:
                return row
            self._bits[way] = len(self._ways)
            self._ways.append(way)
        return row | 1 << self._bits[way]

    def _way(self, branch: Branch) -> str:
        """The name of the way among those that exclude each other: two edges that may both hold have one name."""
        if branch.kind != "next":
            return f"{branch.kind} {branch.position}"
        if self._graph.stages[branch.source].choose == "first":
            return f"next {branch.position}"
        return "else" if branch.otherwise else "next"


def _bits(row: int) -> Iterator[int]:
    while row:
        low = row & -row
        yield low.bit_length() - 1
        row ^= low
