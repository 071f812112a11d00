"""`clawx bench`: figures of this machine, each to be counted again from the log."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.option import Bus, Json

app = typer.Typer(help="Measure this machine.", no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Measure this machine."""


@app.command()
def engine(
    bus: Bus = "",
    runs: Annotated[int, typer.Option("--runs", min=1, help="How many three-stage runs.")] = 1000,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, help="How many of them at once.")] = 256,
    workspaces: Annotated[int, typer.Option("--workspaces", min=1, help="Spread over so many workspaces.")] = 32,
    agent: Annotated[str, typer.Option("--agent", metavar="inline|process", help="Where the scripts run.")] = "inline",
    when: Annotated[bool, typer.Option("--when", help="Put a condition on each edge.")] = False,
    as_json: Json = False,
) -> None:
    """Run three-stage runs of built-in scripts, on a namespace of their own."""
    from services.cli.bench.engine import bench_engine
    from services.cli.failure import Wrong
    from services.cli.loop import run_async
    from services.cli.terminal import log_to_stderr

    if agent not in ("inline", "process"):
        raise Wrong(f"--agent is inline or process, not {agent!r}")
    log_to_stderr()
    _print(run_async(bench_engine(bus, runs, concurrency, workspaces, agent, when)), as_json)


@app.command()
def bus(
    bus: Bus = "",
    rate: Annotated[int, typer.Option("--rate", min=1, help="Records a second while latency is measured.")] = 1000,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="For how long.")] = 10,
    records: Annotated[int, typer.Option("--records", min=1, help="How many are published and read at once.")] = 50_000,
    as_json: Json = False,
) -> None:
    """Publish and handle records with nothing behind the bus, on a namespace of their own."""
    from services.cli.bench.bus import bench_bus
    from services.cli.loop import run_async
    from services.cli.terminal import log_to_stderr

    log_to_stderr()
    _print(run_async(bench_bus(bus, rate, seconds, records)), as_json)


@app.command()
def messages(
    bus: Bus = "",
    rate: Annotated[int, typer.Option("--rate", min=1, help="Messages a second.")] = 500,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="For how long.")] = 10,
    instances: Annotated[int, typer.Option("--instances", min=1, help="So many at work, to which they go.")] = 20,
    workspaces: Annotated[int, typer.Option("--workspaces", min=1, help="Spread over so many workspaces.")] = 4,
    agent: Annotated[str, typer.Option("--agent", metavar="inline|process", help="Where the scripts run.")] = "inline",
    as_json: Json = False,
) -> None:
    """Send messages to instances at work, until each is acknowledged, on a namespace of their own."""
    from services.cli.bench.messages import bench_messages
    from services.cli.failure import Wrong
    from services.cli.loop import run_async
    from services.cli.terminal import log_to_stderr

    if agent not in ("inline", "process"):
        raise Wrong(f"--agent is inline or process, not {agent!r}")
    log_to_stderr()
    _print(run_async(bench_messages(bus, rate, seconds, instances, workspaces, agent)), as_json)


@app.command()
def replay(
    runs: Annotated[int, typer.Option("--runs", min=1, help="How many three-stage runs are recorded first.")] = 1000,
    as_json: Json = False,
) -> None:
    """Fold a log from its beginning, and decide all that stands in it again."""
    from services.cli.bench.replay import bench_replay
    from services.cli.loop import run_async
    from services.cli.terminal import log_to_stderr

    log_to_stderr()
    _print(run_async(bench_replay(runs)), as_json)


@app.command()
def api(
    streams: Annotated[int, typer.Option("--streams", min=0, help="How many listen and hear nothing.")] = 1000,
    rate: Annotated[int, typer.Option("--rate", min=1, help="Calls a second; a fifth of them start a run.")] = 500,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="For how long.")] = 20,
    as_json: Json = False,
) -> None:
    """Call the gateway of an embedded system at a steady rate while very many streams are open."""
    from services.cli.bench.api import bench_api
    from services.cli.loop import run_async
    from services.cli.terminal import log_to_stderr

    log_to_stderr()
    _print(run_async(bench_api(streams, rate, seconds)), as_json)


@app.command()
def flow(
    shapes: Annotated[
        list[str] | None, typer.Option("--shape", help="chain, fan, ladder or map; may be repeated. All without it.")
    ] = None,
    stages: Annotated[int, typer.Option("--stages", min=100, max=20_000, help="How long the long runs are.")] = 10_000,
    as_json: Json = False,
) -> None:
    """Compare what a stage costs in runs of 100 stages and in very long ones. Counts CPU time of the whole system."""
    from services.cli.bench.flow import SHAPES, bench_flow
    from services.cli.failure import Wrong
    from services.cli.loop import run_async
    from services.cli.terminal import log_to_stderr

    if unknown := set(shapes or []) - SHAPES.keys():
        raise Wrong(f"there is no shape {min(unknown)!r}; there are {', '.join(SHAPES)}")
    log_to_stderr()
    _print(dict(run_async(bench_flow(shapes or list(SHAPES), stages))), as_json)


@app.command()
def instances(
    creations: Annotated[int, typer.Option("--creations", min=1, help="How many are made one after the other.")] = 500,
    driver: Annotated[str, typer.Option("--driver", help="How their workers are kept apart.")] = "process",
    as_json: Json = False,
) -> None:
    """Make instances of the script agent: one after the other, twenty at once, and a hundred that do nothing."""
    from services.cli.bench.instances import bench_instances
    from services.cli.loop import run_async
    from services.cli.terminal import log_to_stderr

    log_to_stderr()
    _print(run_async(bench_instances(creations, driver)), as_json)


def _print(figures: dict[str, object], as_json: bool) -> None:
    from services.cli.terminal import print_json, print_line

    if as_json:
        print_json(figures)
        return
    for name, value in figures.items():
        print_line(f"{name:16}  {value}")
