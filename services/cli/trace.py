"""`clawx trace ID`: how something came about, or what it led to, as a tree of causes over all channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from services.cli.failure import Wrong
from services.cli.option import Bus, Data, Json, Server, read_settings

if TYPE_CHECKING:
    from services.audit.trace import Node
    from services.settings import Settings

Subject = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="A run, task, attempt, instance or record; an artifact as RUN/NAME, RUN/NAME@VERSION, workspace:NAME or "
        "sha256:…; or a place in the log such as task/0/12.",
    ),
]
Effects = Annotated[bool, typer.Option("--effects", help="The other direction: what it led to.")]
Form = Literal["text", "json", "mermaid", "dot", "html"]
Format = Annotated[Form, typer.Option("--format", help="html is one page that needs nothing else.")]


def trace(
    subject: Subject,
    effects: Effects = False,
    form: Format = "text",
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Print what led to what. Over all channels, with times, reasons and who acted."""
    from services.audit.trace import NothingToTrace
    from services.cli.loop import run_async

    if as_json and form not in ("text", "json"):
        raise Wrong(f"--json and --format {form} each print another form: give one of them")
    try:
        root = run_async(_read(read_settings(bus, server, data), subject, effects))
    except NothingToTrace as error:
        raise Wrong(str(error)) from error
    _print(root, subject, "json" if as_json else form)


async def _read(settings: Settings, subject: str, effects: bool) -> Node:
    from services.audit.explanation import explain
    from services.audit.trace import TRACED
    from services.cli.connection import reading

    envelopes = []
    async with reading(settings) as bus:
        for channel, types in TRACED.items():
            envelopes += [envelope async for envelope in bus.subscribe(channel, types, live=False)]
    return explain(subject, envelopes, effects=effects)


def _print(root: Node, subject: str, form: Form) -> None:
    from services.cli.terminal import print_line

    match form:
        case "text":
            from services.cli.trace_tree import print_tree

            print_tree(root)
        case "json":
            from services.audit.trace import to_json

            print_line(to_json(root))
        case "html":
            from services.audit.trace_page import write_page

            print_line(write_page(root, subject))
        case "mermaid" | "dot":
            from services.audit.trace_drawing import draw_trace
            from services.diagram import to_dot, to_mermaid

            write = to_mermaid if form == "mermaid" else to_dot
            print_line(write(draw_trace(root, subject)).rstrip("\n"))
