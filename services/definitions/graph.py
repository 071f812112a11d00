"""The graph of a workflow: its branches, loops and joins, worked out once, and the rules of the tokens it is made for.

**Branches.** Each written way on is one branch: the edges of `next`, the routes of `on_error`, the `on_reject` of a
review. A branch with a limit (`max_times`; for `on_reject`, `max_rounds`) that closes a cycle is a *back branch*; every
other is a *forward branch*. The forward branches have no cycle. Where a branch closes no cycle, its limit is no more
than a limit. A stage without forward branches to it is a start, unless it is there to compensate another.

**Tokens.** A run plays these rules, which are pure and never look at a clock:

1. At the start each start stage begins. Every forward branch *owes* one token.
2. An execution that ended well sends a *live* token on each forward branch that it takes and a *skipped* one on every
   other forward branch of its stage, error routes included. One that was skipped or cancelled, or failed with
   `on_error: skip`, sends skipped tokens only; one that failed with a route takes routes and skips the rest.
3. Tokens queue on their branch, first in, first out. A join's round takes one token from each branch:
   `active` begins the stage if one is live, `all` if all are, and skips it otherwise; `any` begins it with the first
   live token, `at_least` with the n-th, then swallow the rest of the round, and skip it if the round ends without;
   `each` begins it for every live token as it comes, and skips it if a round had none. After a round the next one
   begins. The forward branches to a stage without a written join are joined by `active`.
4. Taking a back branch begins its target at once: no join is asked. It is a new *lap*: what hangs on the target's last
   execution, up to the end of the loop, is void. So, walking on from the target over branches that have sent, inside
   the loop: waiting tokens are dropped, the branch owes one again, a begun round of `any`, `at_least` or `each` begins
   anew. A branch from elsewhere into such a join has nothing more to send in this lap; it gets a *void* token, which
   counts as no branch at all. (A token of it that still waits at an unfinished join stays.) Executions under way go on
   and act when they end. In the decision that takes a back branch, no skipped token is sent to a stage of the new lap.
5. A loop is a strongly connected component of the whole graph. A branch that leaves it and is not taken sends nothing
   yet. When nothing is left to do in the loop (nothing under way, no branch into it owing) each branch out of it that
   was never taken sends its skipped token.
6. `rest: cancel`: when such a join has begun its stage, unfinished stages whose only way on is this join are cancelled,
   and as long as the round lasts those that would begin are cancelled instead.
7. The run ends when nothing is under way, or at once at a stage of kind `end`, or when a stage fails for good.

In a run without failure every forward branch sends at least one token, so that no join of a lap waits for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from services.definitions.branch import Branch, read_branches
from services.definitions.component import arcs_of, components
from services.definitions.stage import Stage
from services.definitions.workflow import Workflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """Stages that can lead back to themselves, and the forward branches into them and out of them."""

    stages: tuple[int, ...]
    entries: tuple[int, ...]
    exits: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Lookups by the number of a stage, each of the size of its answer."""

    stages: tuple[Stage, ...]
    number: Mapping[str, int]
    branches: tuple[Branch, ...]
    out: tuple[tuple[Branch, ...], ...]  # the edges of `next`, in their order
    routes: tuple[tuple[Branch, ...], ...]  # those of `on_error`
    reject: tuple[Branch | None, ...]
    forward_out: tuple[tuple[Branch, ...], ...]  # of all three kinds
    back_out: tuple[tuple[Branch, ...], ...]
    forward_in: tuple[tuple[Branch, ...], ...]
    rank: tuple[int, ...]  # each stage after those that lead to it by forward branches
    loops: tuple[Loop, ...]  # each after those that lead to it
    loop_of: tuple[int, ...]  # -1 for none
    starts: tuple[int, ...]
    compensations: frozenset[int]
    only_way: Mapping[int, tuple[int, ...]]  # join with `rest: cancel` -> the stages whose only way on it is
    guards: Mapping[int, tuple[int, ...]]  # the other way round


def build_graph(workflow: Workflow) -> Graph:
    """Work out the graph of a workflow whose stage ids are distinct and whose edges lead to stages of it.

    Raises LoopUnlimited. Costs about linear time; the caller keeps the graph by the digest of the workflow.
    """
    number = {stage.id: index for index, stage in enumerate(workflow.stages)}
    branches, rank = read_branches(workflow, number)
    loop_of, groups = _find_loops(len(number), branches)
    branches = [_mark_exit(branch, loop_of) for branch in branches]
    compensations = frozenset(number[s.compensate] for s in workflow.stages if s.compensate in number)
    forward_in = _by_stage(len(number), (b for b in branches if not b.back), of_target=True)
    only_way = dict(_find_only_ways(workflow, branches, forward_in))
    return Graph(
        stages=workflow.stages,
        number=number,
        branches=tuple(branches),
        out=_by_stage(len(number), (b for b in branches if b.kind == "next")),
        routes=_by_stage(len(number), (b for b in branches if b.kind == "error")),
        reject=_rejects(len(number), branches),
        forward_out=_by_stage(len(number), (b for b in branches if not b.back)),
        back_out=_by_stage(len(number), (b for b in branches if b.back)),
        forward_in=forward_in,
        rank=tuple(rank),
        loops=_describe_loops(groups, loop_of, branches),
        loop_of=tuple(loop_of),
        starts=tuple(n for n in range(len(number)) if not forward_in[n] and n not in compensations),
        compensations=compensations,
        only_way=only_way,
        guards=_turn_round(only_way),
    )


def _find_loops(count: int, branches: list[Branch]) -> tuple[list[int], list[list[int]]]:
    arcs = arcs_of(count, ((b.source, b.target) for b in branches))
    groups = [c for c in components(arcs) if len(c) > 1 or c[0] in arcs[c[0]]]
    loop_of = [-1] * count
    for index, group in enumerate(groups):
        for node in group:
            loop_of[node] = index
    return loop_of, groups


def _mark_exit(branch: Branch, loop_of: list[int]) -> Branch:
    loop = loop_of[branch.source]
    if branch.back or loop < 0 or loop_of[branch.target] == loop:
        return branch
    return replace(branch, loop_left=loop)


def _describe_loops(groups: list[list[int]], loop_of: list[int], branches: list[Branch]) -> tuple[Loop, ...]:
    entries: list[list[int]] = [[] for _ in groups]
    exits: list[list[int]] = [[] for _ in groups]
    for branch in branches:
        inner = loop_of[branch.target]
        if inner >= 0 and loop_of[branch.source] != inner:
            entries[inner].append(branch.index)
        if branch.loop_left >= 0:
            exits[branch.loop_left].append(branch.index)
    return tuple(
        Loop(stages=tuple(group), entries=tuple(into), exits=tuple(out))
        for group, into, out in zip(groups, entries, exits, strict=True)
    )


def _by_stage(count: int, branches: Iterable[Branch], of_target: bool = False) -> tuple[tuple[Branch, ...], ...]:
    found: list[list[Branch]] = [[] for _ in range(count)]
    for branch in branches:
        found[branch.target if of_target else branch.source].append(branch)
    return tuple(tuple(part) for part in found)


def _rejects(count: int, branches: list[Branch]) -> tuple[Branch | None, ...]:
    found: list[Branch | None] = [None] * count
    for branch in branches:
        if branch.kind == "reject":
            found[branch.source] = branch
    return tuple(found)


def _find_only_ways(
    workflow: Workflow, branches: list[Branch], forward_in: tuple[tuple[Branch, ...], ...]
) -> Iterator[tuple[int, tuple[int, ...]]]:
    joins = [n for n, stage in enumerate(workflow.stages) if stage.join.rest == "cancel"]
    if not joins:
        return
    forward_out = _by_stage(len(workflow.stages), (b for b in branches if not b.back))
    back_out = _by_stage(len(workflow.stages), (b for b in branches if b.back))
    for join in joins:
        inside = _only_leading_to(join, forward_in, forward_out)
        _drop_ways_back_out(inside, join, forward_in, back_out)
        yield join, tuple(sorted(inside))


def _only_leading_to(
    join: int, forward_in: tuple[tuple[Branch, ...], ...], forward_out: tuple[tuple[Branch, ...], ...]
) -> set[int]:
    inside: set[int] = set()
    counted: dict[int, int] = {}
    pending = [join]
    while pending:
        for branch in forward_in[pending.pop()]:
            source = branch.source
            counted[source] = counted.get(source, 0) + 1
            if counted[source] == len(forward_out[source]):
                inside.add(source)
                pending.append(source)
    return inside


def _drop_ways_back_out(
    inside: set[int],
    join: int,
    forward_in: tuple[tuple[Branch, ...], ...],
    back_out: tuple[tuple[Branch, ...], ...],
) -> None:
    """A stage that may lead back to somewhere else has another way on; so has, then, whatever leads to it."""
    while True:
        leaving = [n for n in inside if any(b.target not in inside and b.target != join for b in back_out[n])]
        if not leaving:
            return
        inside.difference_update(leaving)
        pending = leaving
        while pending:
            for branch in forward_in[pending.pop()]:
                if branch.source in inside:
                    inside.remove(branch.source)
                    pending.append(branch.source)


def _turn_round(only_way: Mapping[int, tuple[int, ...]]) -> dict[int, tuple[int, ...]]:
    guards: dict[int, list[int]] = {}
    for join, inside in only_way.items():
        for node in inside:
            guards.setdefault(node, []).append(join)
    return {node: tuple(joins) for node, joins in guards.items()}
