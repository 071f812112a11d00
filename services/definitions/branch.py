"""The branches of a workflow: every written way on, and which of them lead back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from services.definitions.component import GrowingOrder, arcs_of, components, cycle_in, topological_order
from services.definitions.edge import Edge
from services.definitions.workflow import Workflow

BranchKind = Literal["next", "error", "reject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One way from a stage to a stage; stages and branches are numbered in the order of the file."""

    index: int
    source: int
    target: int
    kind: BranchKind
    position: int  # in `next` or in the routes
    back: bool = False
    loop_left: int = -1  # the loop that a forward branch leaves, or -1
    when: str | None = None
    otherwise: bool = False
    times_max: int | None = None
    time_ms_max: int | None = None


class LoopUnlimited(ValueError):
    """The workflow has loops that nothing bounds; `cycles` names the stages of one cycle in each."""

    def __init__(self, cycles: Iterable[tuple[str, ...]]) -> None:
        self.cycles = tuple(cycles)
        super().__init__("loop without a limit: " + "; ".join(" -> ".join((*c, c[0])) for c in self.cycles))


def read_branches(workflow: Workflow, number: Mapping[str, int]) -> tuple[list[Branch], list[int]]:
    """Return the branches in the order of the file, and for each stage its rank behind those that lead to it forward.

    Raises LoopUnlimited.
    """
    written = list(_written_branches(workflow, number))
    _refuse_unlimited_loops(workflow, written)
    return _part_back_branches(len(number), written)


def _written_branches(workflow: Workflow, number: Mapping[str, int]) -> Iterator[Branch]:
    index = 0
    for source, stage in enumerate(workflow.stages):
        ways: list[tuple[BranchKind, int, Edge]] = [("next", at, edge) for at, edge in enumerate(stage.next)]
        ways += [("error", at, edge) for at, edge in enumerate(stage.on_error.routes)]
        for kind, position, edge in ways:
            yield _written(index, source, number[edge.to], kind, position, edge)
            index += 1
        if stage.review and stage.review.on_reject:
            target, rounds = number[stage.review.on_reject], stage.review.max_rounds
            yield Branch(index=index, source=source, target=target, kind="reject", position=0, times_max=rounds - 1)
            index += 1


def _written(index: int, source: int, target: int, kind: BranchKind, position: int, edge: Edge) -> Branch:
    return Branch(
        index=index,
        source=source,
        target=target,
        kind=kind,
        position=position,
        when=edge.when,
        otherwise=edge.otherwise,
        times_max=edge.max_times,
        time_ms_max=edge.max_time_ms,
    )


def _refuse_unlimited_loops(workflow: Workflow, branches: Iterable[Branch]) -> None:
    pairs = ((b.source, b.target) for b in branches if b.times_max is None)
    arcs = arcs_of(len(workflow.stages), pairs)
    if len(topological_order(arcs)) == len(arcs):
        return
    cycles = (cycle_in(arcs, component) for component in components(arcs))
    raise LoopUnlimited(tuple(workflow.stages[node].id for node in cycle) for cycle in cycles if cycle)


def _part_back_branches(count: int, written: list[Branch]) -> tuple[list[Branch], list[int]]:
    """Tell back branches from forward ones: in the order of the file, a limited branch is one if it closes a cycle."""
    order = GrowingOrder(arcs_of(count, ((b.source, b.target) for b in written if b.times_max is None)))
    branches = []
    for branch in written:
        back = branch.times_max is not None and not order.add(branch.source, branch.target)
        # A review's rejection that leads on instead of back has no rounds to count.
        times_max = branch.times_max if back or branch.kind != "reject" else None
        branches.append(replace(branch, back=back, times_max=times_max))
    return branches, order.rank
