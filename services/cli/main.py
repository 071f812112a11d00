"""The program `clawx`: its commands by name, and how it ends."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

import typer

from bus.errors import BusError
from services.cli import (
    artifacts,
    budgets,
    diff,
    doctor,
    instance_changes,
    instance_creation,
    instances,
    log,
    messages,
    nodes,
    pools,
    professions,
    publish,
    replay,
    reviews,
    run,
    schedules,
    schemas,
    service,
    state,
    tasks,
    top,
    trace,
    up,
    why,
    workflows,
)
from services.cli.bench import menu as bench
from services.cli.failure import FAILED, INTERRUPTED, WRONG, Failed, Wrong
from services.cli.terminal import tell
from services.definitions.problem import DefinitionInvalid

# Modules of commands import what they need when they run, so that the program answers at once.
app = typer.Typer(
    help="Runs a fleet of AI agent instances that work together on workflows.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(up.up)
app.command()(run.run)
app.command()(service.service)
app.add_typer(workflows.app, name="workflows")
instances.app.command()(instance_creation.create)
instances.app.command()(instance_changes.drain)
instances.app.command()(instance_changes.restart)
instances.app.command()(instance_changes.upgrade)
app.add_typer(instances.app, name="instances")
app.add_typer(pools.app, name="pools")
app.add_typer(nodes.app, name="nodes")
app.add_typer(professions.app, name="professions")
app.add_typer(budgets.app, name="budgets")
app.command()(top.top)
app.add_typer(tasks.app, name="tasks")
app.add_typer(reviews.app, name="reviews")
app.add_typer(artifacts.app, name="artifacts")
app.add_typer(messages.app, name="messages")
app.add_typer(schedules.app, name="schedules")
app.command()(trace.trace)
app.command()(why.why)
app.command()(replay.replay)
app.command()(state.state)
app.command()(diff.diff)
app.add_typer(log.app, name="log")
app.command()(publish.publish)
app.add_typer(schemas.app, name="schemas")
app.add_typer(bench.app, name="bench")
app.command()(doctor.doctor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code: 0 done, 1 the work failed, 2 used wrongly."""
    try:
        app(arguments, prog_name="clawx")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else WRONG
    except Failed as error:
        tell(f"clawx: {error}")
        return FAILED
    except (Wrong, BusError) as error:
        tell(f"clawx: {error}")
        return WRONG
    except DefinitionInvalid as error:
        tell(str(error))
        return WRONG
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            # Whoever read stdout has gone; nothing more can be said to them, not even at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        if not error.filename and error.errno != errno.ENOSPC:  # a write does not say to which file
            raise
        tell(f"clawx: {error.filename}: {error.strerror}" if error.filename else f"clawx: {error.strerror}")
        return WRONG
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
