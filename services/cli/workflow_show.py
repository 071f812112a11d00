"""`clawx workflows show`: a definition, or a run over its definition, as text, JSON or a drawing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Wrong
from services.cli.option import Bus, Data, Json, Server, read_settings

if TYPE_CHECKING:
    from bus.client import Bus as OpenBus
    from services.audit.run_chart import RunChart
    from services.definitions.workflow import Workflow
    from services.diagram import Diagram
    from services.settings import Settings

Subject = Annotated[
    str,
    typer.Argument(metavar="FILE|ID", help="A workflow file; a run; a workflow that has run; or a digest (sha256:…)."),
]
Mermaid = Annotated[bool, typer.Option("--mermaid", help="Draw it, as a Mermaid flowchart.")]
Dot = Annotated[bool, typer.Option("--dot", help="Draw it, as a DOT graph for Graphviz.")]


def show(
    subject: Subject,
    mermaid: Mermaid = False,
    dot: Dot = False,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show how far a run is, stage by stage, or what a definition says; or draw either of them."""
    from services.cli.loop import run_async

    if mermaid + dot + as_json > 1:
        raise Wrong("--mermaid, --dot and --json each print another form: give one of them")
    settings, path = read_settings(bus, server, data), Path(subject)
    is_file = path.suffix in (".yaml", ".yml", ".json") or path.is_file()
    chart, workflow = run_async(_read_file(settings, path) if is_file else _find(settings, subject))
    if mermaid or dot:
        _print_drawing(_drawn(chart, workflow), is_dot=dot)
    elif chart is not None:
        _print_run(chart, as_json)
    else:
        _print_workflow(workflow, as_json)


async def _find(settings: Settings, subject: str) -> tuple[RunChart | None, Workflow]:
    """The run and its definition, or a definition alone."""
    from services.cli.connection import reading

    async with reading(settings) as bus:
        chart = None if subject.startswith("sha256:") else await _read_chart(bus, subject)
        return chart, await _read_definition(bus, chart.definition if chart else await _digest(bus, subject))


async def _read_file(settings: Settings, path: Path) -> tuple[RunChart | None, Workflow]:
    from services.cli.profession_list import find_catalogue
    from services.cli.workflow_source import prepare_file, read_source

    source = read_source(path)
    return None, prepare_file(source, await find_catalogue(settings)).workflow


async def _read_chart(bus: OpenBus, run_id: str) -> RunChart | None:
    from services.audit.run_chart import CHARTED, RunChart

    chart = RunChart(run_id)
    async for envelope in bus.subscribe("task", CHARTED, live=False):
        chart.apply(envelope)
    if chart.progress.status == "refused":
        raise Wrong(f"the run {run_id} was refused: {chart.progress.reason}")
    return chart if chart.definition else None


async def _digest(bus: OpenBus, subject: str) -> str:
    """The definition of this digest, or the newest that a run of the workflow of this id had."""
    from services.records.task import RunStarted

    if subject.startswith("sha256:"):
        return subject
    digest = ""
    async for envelope in bus.subscribe("task", [RunStarted], live=False):
        if envelope.record.workflow_id == subject:
            digest = envelope.record.definition
    if not digest:
        raise Wrong(f"there is no run {subject}, no file of that name, and no run of a workflow that is called so")
    return digest


async def _read_definition(bus: OpenBus, digest: str) -> Workflow:
    from services.definitions.workflow import Workflow

    return Workflow.from_json(await bus.blobs.get(digest))


def _drawn(chart: RunChart | None, workflow: Workflow) -> Diagram:
    from services.definitions.flowchart import draw_workflow

    return chart.draw(workflow) if chart else draw_workflow(workflow)


def _print_drawing(diagram: Diagram, *, is_dot: bool) -> None:
    from services.cli.terminal import print_line
    from services.diagram import to_dot, to_mermaid

    print_line((to_dot(diagram) if is_dot else to_mermaid(diagram)).rstrip("\n"))


def _print_run(chart: RunChart, as_json: bool) -> None:
    from services.audit.progress import summarise
    from services.cli.display import describe, name_execution
    from services.cli.terminal import print_json, print_line

    progress = chart.progress
    if as_json:
        print_json(summarise(progress, {}))
        return
    reason = f": {progress.reason}" if progress.reason else ""
    print_line(f"{progress.run_id}  {progress.workflow_id}  {progress.status}{reason}")
    for each in progress.executions.values():
        print_line(f"  {name_execution(each.key)}  {describe(each)}")


def _print_workflow(workflow: Workflow, as_json: bool) -> None:
    """The canonical form, or its boxes and arrows line by line."""
    from services.cli.terminal import print_line

    if as_json:
        print_line(workflow.to_json().decode())
        return
    diagram = _drawn(None, workflow)
    print_line(f"{workflow.id}  {workflow.name or ''}  {workflow.digest()}".replace("    ", "  "))
    for box in diagram.boxes:
        print_line(f"  {box.name}  {'; '.join(box.lines[1:])}".rstrip())
        for arrow in diagram.arrows:
            if arrow.source == box.name:
                print_line(f"    -> {arrow.target}" + (f"  ({arrow.text})" if arrow.text else ""))
