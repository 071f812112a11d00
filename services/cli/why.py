"""`clawx why TASK`: why a task went to whom it went, or why it waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Wrong
from services.cli.option import Bus, Data, Json, Server, read_settings

if TYPE_CHECKING:
    from services.audit.why import Attempt, Case
    from services.records.task import Pick
    from services.settings import Settings

TaskId = Annotated[str, typer.Argument(metavar="TASK", help="Id of the task, of an attempt at it, or RUN/STAGE.")]


def why(task: TaskId, bus: Bus = "", server: Server = "", data: Data = None, as_json: Json = False) -> None:
    """Say why a task was given to an instance: the parts of the score, and who came after it."""
    from services.audit.why import describe
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line

    cases = _find(run_async(_read(read_settings(bus, server, data))), task)
    for case in cases:
        if as_json:
            print_json(describe(case))
            continue
        item = f"[{case.item}]" if case.item >= 0 else ""
        print_line(f"{case.stage}{item} #{case.execution} of {case.run_id}  (task {case.task_id})")
        for attempt in case.attempts.values():
            for line in _lines(attempt):
                print_line(line)


async def _read(settings: Settings) -> dict[str, Case]:
    from services.audit.why import EXPLAINED, fold_cases
    from services.cli.connection import reading

    async with reading(settings) as bus:
        return fold_cases([each async for each in bus.subscribe("task", EXPLAINED, live=False)])


def _find(cases: dict[str, Case], name: str) -> list[Case]:
    found = [case for case in cases.values() if name in (case.task_id, *case.attempts, f"{case.run_id}/{case.stage}")]
    if not found:
        raise Wrong(f"no task has the id `{name}`; `clawx trace RUN` shows those of a run, or write RUN/STAGE")
    return found


def _lines(attempt: Attempt) -> Iterator[str]:
    work, given = attempt.work, attempt.assigned
    least = ", ".join(f"{skill} {level} or more" for skill, level in sorted(work.skills.items()))
    wanted = work.profession or "whoever is good at it"
    yield f"  attempt {attempt.attempt_id}: for {wanted}{f' with {least}' if least else ''} — {attempt.status}"
    for wait in attempt.waits:
        yield f"    waited: {wait['reason']}"
    if attempt.pick:
        yield from _pick_lines(attempt.pick)
    if given:
        total = sum(reason.score for reason in given.reasons)
        yield f"    to {given.instance_id} on {given.node_id}, score {total:.3f}"
        for reason in given.reasons:
            yield f"      {reason.part:10} {reason.score:.3f}  {reason.note}"
        for other in given.runners_up:
            yield f"      before     {other.score:.3f}  {other.instance_id} ({other.note})"
    if attempt.reason:
        yield f"    {attempt.status}: {attempt.reason}"


def _pick_lines(pick: Pick) -> Iterator[str]:
    how = f"chosen by {pick.chosen_by}" if pick.chosen_by else f"certainty {pick.certainty:.2f}"
    yield f"    professions compared by {pick.matcher or 'their levels'}, {how}:"
    for fit in pick.ranked:
        yield f"      {fit.profession:20} {fit.score:7.3f}  {fit.note}"
