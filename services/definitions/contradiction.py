"""Checks that the options of each stage make sense together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from services.definitions.edge import Edge
from services.definitions.finding import Findings
from services.definitions.option import LOST_ONLY
from services.definitions.stage import Stage

Path = tuple[str | int, ...]
Said = tuple[Path, str, str]
"""Below the stage: where, why, and what would be right."""

_BLOCKS = ("review", "subflow", "wait", "end")
_ONLY_FOR = {
    "profession": ("task", "review"),
    "agent": ("task", "review"),
    "skills": ("task", "review"),
    "map": ("task", "subflow"),
    "choice": ("wait",),
}


def check_options(findings: Findings) -> None:
    """Report the options that contradict each other, stage by stage."""
    for index, stage in enumerate(findings.workflow.stages):
        for path, reason, suggestion in _contradictions(stage):
            findings.add(("stages", index, *path), reason, suggestion)
    _check_choices(findings)
    _check_compensations(findings)


def _contradictions(stage: Stage) -> Iterator[Said]:
    yield from _kind(stage)
    yield from _edges(("next",), stage.next)
    yield from _edges(("on_error",), stage.on_error.routes)
    yield from _join(stage)
    yield from _names(stage)
    yield from _times(stage)
    yield from _self_references(stage)
    yield from _review(stage)


def _kind(stage: Stage) -> Iterator[Said]:
    for block in _BLOCKS:
        if getattr(stage, block) is not None and stage.kind != block:
            yield (block,), f"a stage of kind `{stage.kind}` has no `{block}`", f"add `kind: {block}`"
    if stage.kind in ("review", "subflow", "wait") and getattr(stage, stage.kind) is None:
        yield ("kind",), f"a stage of kind `{stage.kind}` needs `{stage.kind}`", f"add `{stage.kind}:`"
    for option, kinds in _ONLY_FOR.items():
        if getattr(stage, option) and stage.kind not in kinds:
            where = " or ".join(f"`{kind}`" for kind in kinds)
            yield (option,), f"`{option}` means nothing on a stage of kind `{stage.kind}`", f"it is for {where}"
    if stage.is_open and not stage.skills and not stage.words:
        yield (
            (),
            "a task needs a profession, skills, or instructions that say who should do it",
            "add `profession:`, or `agent: human` if a person does it",
        )
    if stage.kind == "subflow" and stage.retry != LOST_ONLY:
        yield ("retry",), "a subflow is not tried again as a whole", "put `retry` on the stages in it"
    if stage.kind == "end" and (stage.next or stage.output):
        yield ("next",) if stage.next else ("output",), "nothing follows a stage of kind `end`", "leave it out"
    yield from _one_of(stage)


def _one_of(stage: Stage) -> Iterator[Said]:
    if stage.wait:
        given = [stage.wait.signal, stage.wait.for_ms, stage.wait.until_ms, stage.wait.stage]
        if sum(part is not None for part in given) != 1:
            yield ("wait",), "a wait has exactly one of signal, for, until and stage", "keep one of them"
    if stage.subflow and (stage.subflow.file is None) == (stage.subflow.id is None):
        yield ("subflow",), "a subflow has either `file` or `id`", "keep one of the two"


def _edges(at: Path, edges: tuple[Edge, ...]) -> Iterator[Said]:
    for position, edge in enumerate(edges):
        if edge.otherwise and edge.when is not None:
            yield (*at, position), "an edge has either `when` or `else`", "keep one of the two"
        if edge.max_time_ms is not None and edge.max_times is None:
            yield (*at, position), "`max_time` needs `max_times` beside it", "add `max_times:`"
    if sum(edge.otherwise for edge in edges) > 1:
        yield at, "more than one edge has `else`", "keep it on one"


def _join(stage: Stage) -> Iterator[Said]:
    join = stage.join
    if (join.mode == "at_least") != (join.at_least is not None):
        yield ("join",), "`at_least` and its number belong together", "write {at_least: 2}"
    if join.rest == "cancel" and join.mode not in ("any", "at_least"):
        yield ("join",), f"a join of mode `{join.mode}` leaves no rest to cancel", "write {at_least: N, rest: cancel}"
    if stage.on_error.action == "route" and not stage.on_error.routes:
        yield ("on_error",), "no way is named", "write {to: STAGE}"


def _names(stage: Stage) -> Iterator[Said]:
    for field, parts in (("input", stage.input), ("output", stage.output)):
        for name in _repeated(part.name for part in parts):
            yield (field,), f"the {field} `{name}` is listed twice", "list it once"
    if stage.map and stage.map.collect in {output.name for output in stage.output}:
        yield ("map", "collect"), f"`{stage.map.collect}` is an output of each item too", "give the list its own name"
    if stage.map and stage.map.item == stage.map.over:
        yield ("map", "as"), "the item and the list have one name", "give the item its own name"


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


def _times(stage: Stage) -> Iterator[Said]:
    if stage.heartbeat_ms and stage.timeout_ms and stage.heartbeat_ms >= stage.timeout_ms:
        yield ("heartbeat",), "the heartbeat is not shorter than the timeout", "make it a fraction of the timeout"
    if stage.retry.backoff_max_ms < stage.retry.backoff_ms:
        yield ("retry",), "`max_backoff` is shorter than `backoff`", "make it at least as long"


def _self_references(stage: Stage) -> Iterator[Said]:
    if stage.id in stage.cancel:
        yield ("cancel",), "a stage cannot cancel itself: it has completed by then", "leave it out"
    if stage.compensate == stage.id:
        yield ("compensate",), "a stage cannot compensate itself", "name another stage"
    if stage.wait and stage.wait.stage == stage.id:
        yield ("wait", "stage"), "a stage cannot wait for itself", "name another stage"
    if stage.review and stage.review.on_reject == stage.id:
        yield ("review", "on_reject"), "a rejection cannot lead back to the review itself", "name the stage to do again"


def _review(stage: Stage) -> Iterator[Said]:
    review = stage.review
    if review is None:
        return
    single = all(reviewer.startswith(("person:", "instance:")) for reviewer in review.by)
    if single and review.quorum > len(set(review.by)):
        yield (
            ("review", "quorum"),
            f"{review.quorum} must approve, but {len(set(review.by))} review",
            "lower the quorum",
        )
    if (review.on_timeout.action == "escalate") != (review.on_timeout.to is not None):
        yield ("review", "on_timeout"), "an escalation names to whom", "write {escalate: role:NAME}"
    if review.on_timeout.action == "escalate" and review.timeout_ms is None:
        yield ("review", "on_timeout"), "without a timeout nothing is escalated", "add `timeout:` to the review"


def _check_choices(findings: Findings) -> None:
    groups: dict[str, list[int]] = {}
    for index, stage in enumerate(findings.workflow.stages):
        if stage.kind == "wait" and stage.choice:
            groups.setdefault(stage.choice, []).append(index)
    for group, members in groups.items():
        if len(members) == 1:
            path = ("stages", members[0], "choice")
            findings.warn(path, f"the choice `{group}` has one wait only", "give the other waits the same `choice`")


def _check_compensations(findings: Findings) -> None:
    named = {stage.compensate for stage in findings.workflow.stages if stage.compensate}
    for index, stage in enumerate(findings.workflow.stages):
        leads = stage.next or stage.compensate or stage.cancel or stage.on_error.action == "route"
        if stage.id in named and (leads or stage.kind != "task" or stage.map is not None):
            reason = "a stage that compensates another is a task that leads nowhere"
            suggestion = "leave out `next`, `on_error: {to: …}`, `cancel`, `compensate`, `map` and `kind`"
            findings.add(("stages", index), reason, suggestion)
