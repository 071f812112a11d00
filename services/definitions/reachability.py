"""Checks that every stage can begin."""

from __future__ import annotations

from collections.abc import Iterator

from services.definitions.branch import Branch
from services.definitions.component import arcs_of, components, reach
from services.definitions.dataflow import read_names, writers, written_names
from services.definitions.finding import Findings
from services.definitions.graph import Graph
from services.definitions.stage import Stage

_NEVER = "false"


def dead_branches(graph: Graph) -> dict[int, str]:
    """Return the branches that can never be taken, each with the reason."""
    dead: dict[int, str] = {}
    for stage, branches in zip(graph.stages, graph.out, strict=True):
        sure: Branch | None = None
        for branch in branches:
            if branch.when is not None and branch.when.strip() == _NEVER:
                dead[branch.index] = "its condition is never true"
            elif sure is not None and stage.choose == "first":
                dead[branch.index] = "with `choose: first` an edge before it always holds"
            if sure is None and branch.when is None and not branch.otherwise and branch.times_max is None:
                sure = branch
        if sure is not None:
            dead.update((b.index, "another edge always holds") for b in branches if b.otherwise)
    return dead


def check_reachability(findings: Findings, graph: Graph, dead: dict[int, str]) -> frozenset[int]:
    """Report edges that are never taken and stages that never begin; return the numbers of the stages that may."""
    for index, reason in sorted(dead.items()):
        branch = graph.branches[index]
        findings.warn(path_of(branch), f"the edge is never taken: {reason}", "change the order or the condition")
    starts = [*_true_starts(graph), *graph.compensations]
    alive = [(b.source, b.target) for b in graph.branches if b.index not in dead]
    reached = reach(arcs_of(len(graph.stages), alive), starts)
    for number, stage in enumerate(graph.stages):
        if number not in reached:
            suggestion = f"lead an edge to it: next: [{stage.id}]"
            findings.add(("stages", number), "the stage is unreachable: no way leads to it from a start", suggestion)
    for number in _strays(findings, graph):
        # It may be meant to run beside the others, so it is no error.
        reason = "nothing leads to the stage, it leads nowhere, and nothing refers to it: it begins with the run"
        findings.warn(
            ("stages", number), reason, f"lead an edge to it if it is to wait: next: [{graph.stages[number].id}]"
        )
    _check_awaited(findings, graph)
    return frozenset(reached)


def path_of(branch: Branch) -> tuple[str | int, ...]:
    """Return where a branch is written."""
    if branch.kind == "reject":
        return ("stages", branch.source, "review", "on_reject")
    return ("stages", branch.source, "next" if branch.kind == "next" else "on_error", branch.position)


def _true_starts(graph: Graph) -> Iterator[int]:
    """The starts of the graph, without those of loops that stand apart from the flow that the first stage is in."""
    groups = _linked_groups(graph)
    for start in graph.starts:
        apart = graph.loop_of[start] >= 0 and groups[start] != groups[0]
        if not apart or any(graph.loop_of[other] < 0 and groups[other] == groups[start] for other in graph.starts):
            yield start


def _linked_groups(graph: Graph) -> list[int]:
    """Return for each stage the group of stages that edges of either direction link it with."""
    both = [pair for b in graph.branches for pair in ((b.source, b.target), (b.target, b.source))]
    group = [0] * len(graph.stages)
    for index, members in enumerate(components(arcs_of(len(graph.stages), both))):
        for member in members:
            group[member] = index
    return group


def _strays(findings: Findings, graph: Graph) -> Iterator[int]:
    """Stages that nothing links with the rest, where the rest is linked: most likely an edge was forgotten."""
    if not graph.branches:
        return
    linked = {end for branch in graph.branches for end in (branch.source, branch.target)} | graph.compensations
    named = _named(graph)
    written = writers(findings.workflow)
    read = {name for stage in graph.stages for name in read_names(stage)}
    for number, stage in enumerate(graph.stages[1:], start=1):
        shares = any(name in written for name in read_names(stage)) or any(n in read for n in written_names(stage))
        alone = number not in linked and stage.id not in named and not shares
        if alone and not (stage.cancel or stage.mutex or stage.kind in ("wait", "end")):
            yield number


def _named(graph: Graph) -> set[str]:
    named = {name for stage in graph.stages for name in stage.cancel}
    return named | {stage.wait.stage for stage in graph.stages if stage.wait and stage.wait.stage}


def _check_awaited(findings: Findings, graph: Graph) -> None:
    """A stage that begins only after a wait cannot be what that wait waits for."""
    arcs = arcs_of(len(graph.stages), ((b.source, b.target) for b in graph.branches))
    for number, stage in enumerate(graph.stages):
        awaited = _awaited(stage)
        if awaited is None or awaited not in graph.number or awaited == stage.id:
            continue
        without = [targets if node != number else [] for node, targets in enumerate(arcs)]
        if graph.number[awaited] not in reach(without, graph.starts):
            reason = f"it waits for `{awaited}`, which can only begin after it"
            findings.add(("stages", number, "wait", "stage"), reason, "wait for a stage that begins on its own")


def _awaited(stage: Stage) -> str | None:
    return stage.wait.stage if stage.wait else None
