"""A workflow as a diagram: its stages and branches, inner workflows in frames of their own, and marks upon them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from services.definitions.branch import Branch
from services.definitions.duration import write_duration
from services.definitions.graph import Graph, build_graph
from services.definitions.nesting import levels_of
from services.definitions.stage import Kind, Stage
from services.definitions.workflow import Workflow
from services.diagram import Arrow, Box, Diagram, Form, Frame, State, shorten

WHEN_CHARS_MAX = 60
"""Most that an arrow shows of a condition."""

_FORMS: Mapping[Kind, Form] = {
    "task": "box",
    "review": "hexagon",
    "wait": "round",
    "subflow": "double",
    "end": "circle",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What is known of a run, to be seen on its definition; stages by their whole path."""

    states: Mapping[str, State] = field(default_factory=dict)
    lines: Mapping[str, Sequence[str]] = field(default_factory=dict)  # said in the box of a stage
    taken: Mapping[tuple[str, int], int] | None = None  # how often the branches of a level were, by its path


def draw_workflow(workflow: Workflow, marks: Marks | None = None) -> Diagram:
    """Draw a workflow, all that it runs inside included. Raises NestingInvalid and LoopUnlimited."""
    boxes: list[Box] = []
    arrows: list[Arrow] = []
    frames: list[Frame] = []
    for path, level in levels_of(workflow).items():
        graph = build_graph(level)
        boxes += [_box(stage, path, marks) for stage in level.stages]
        arrows += _arrows(graph, path, marks)
        if path:
            frames.append(Frame(name=path, title=f"{path}: {level.name or level.id}", group=path.rpartition("/")[0]))
            arrows += [Arrow(source=path, target=graph.stages[start].id, dashed=True) for start in graph.starts]
    return Diagram(title=workflow.name or workflow.id, boxes=boxes, arrows=arrows, frames=frames)


def _box(stage: Stage, path: str, marks: Marks | None) -> Box:
    name = stage.id.rpartition("/")[2]
    title = f"{name}: {stage.name}" if stage.name and stage.name != name else name
    known = marks.lines.get(stage.id, ()) if marks else ()
    state: State = marks.states.get(stage.id, "quiet") if marks else ""
    lines = [title, *_notes(stage), *known]
    return Box(name=stage.id, lines=lines, form=_FORMS[stage.kind], state=state, group=path)


def _notes(stage: Stage) -> Iterator[str]:
    """What the stage is and what is not usual about it, a line each."""
    if stage.profession:
        yield stage.profession
    if stage.agent == "human":
        yield "a person answers"
    if stage.wait:
        yield _awaited(stage)
    if stage.review:
        of_them = f", {stage.review.quorum} of them" if stage.review.quorum > 1 else ""
        yield f"review by {', '.join(stage.review.by)}{of_them}"
    if stage.end:
        yield f"ends: {stage.end.status}"
    if stage.map:
        yield f"for each {stage.map.item} of {stage.map.over}"
    yield from _rules(stage)


def _rules(stage: Stage) -> Iterator[str]:
    if stage.join.mode != "active":
        least = f" {stage.join.at_least}" if stage.join.at_least else ""
        rest = ", the rest cancelled" if stage.join.rest == "cancel" else ""
        yield f"join: {stage.join.mode.replace('_', ' ')}{least}{rest}"
    if stage.choose == "first":
        yield "the first edge that holds"
    if stage.choice:
        yield f"choice: {stage.choice}"
    if stage.mutex:
        yield f"mutex: {stage.mutex}"


def _awaited(stage: Stage) -> str:
    wait = stage.wait
    assert wait is not None  # asked for by the caller
    if wait.signal:
        return f"waits for the signal {wait.signal}"
    if wait.stage:
        return f"waits for {wait.stage.rpartition('/')[2]}"
    return "waits until a time" if wait.until_ms is not None else f"waits {write_duration(wait.for_ms or 0)}"


def _arrows(graph: Graph, path: str, marks: Marks | None) -> Iterator[Arrow]:
    names = [stage.id for stage in graph.stages]
    for branch in graph.branches:
        taken = marks.taken.get((path, branch.index), 0) if marks and marks.taken is not None else None
        text = ", ".join([*_conditions(branch), *([f"{taken}×"] if taken else [])])
        yield Arrow(
            source=names[branch.source],
            target=names[branch.target],
            text=text,
            dashed=branch.back,
            thick=bool(taken) and not branch.back,
            quiet=taken == 0,
        )
    yield from (Arrow(source=a, target=b, text=text, dashed=True) for a, b, text in _side_effects(graph.stages))


def _side_effects(stages: Iterable[Stage]) -> Iterator[tuple[str, str, str]]:
    for stage in stages:
        yield from ((stage.id, other, "cancels") for other in stage.cancel)
        if stage.compensate:
            yield stage.id, stage.compensate, "undone by"
        if stage.wait and stage.wait.stage:
            yield stage.wait.stage, stage.id, "awaited by"


def _conditions(branch: Branch) -> Iterator[str]:
    if branch.kind != "next":
        yield "on error" if branch.kind == "error" else "rejected"
    if branch.when:
        yield shorten(branch.when, WHEN_CHARS_MAX)
    if branch.otherwise:
        yield "else"
    if branch.times_max is not None:
        yield f"≤ {branch.times_max}×"
    if branch.time_ms_max is not None:
        yield f"within {write_duration(branch.time_ms_max)}"
