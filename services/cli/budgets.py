"""`clawx budgets`: what workspaces, runs and instances may spend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Wrong
from services.cli.option import WORKSPACE_DEFAULT, Bus, Data, Json, Server, Workspace, read_settings

if TYPE_CHECKING:
    from services.audit.budgets import Books
    from services.settings import Settings

app = typer.Typer(help="What workspaces, runs and instances may spend.", no_args_is_help=True)

Subject = Annotated[
    str, typer.Argument(metavar="SUBJECT", help="workspace, run:ID, run:* (each run), instance:ID or instance:*.")
]
MICROS = 1_000_000


@app.command("set")
def set_(
    subject: Subject,
    tokens: Annotated[int | None, typer.Option("--tokens", min=0, help="Most tokens, in and out.")] = None,
    money: Annotated[float | None, typer.Option("--money", min=0, help="Most money, in units of the currency.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Take the limit away.")] = False,
    workspace: Workspace = WORKSPACE_DEFAULT,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Limit what may be spent from now on; attempts stop hard when it is spent, and keep what they have."""
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line
    from services.records.budget import NO_LIMIT, BudgetSetRequested

    if none == (tokens is not None or money is not None):
        raise Wrong("say how much with --tokens, --money or both, or take the limit away with --none")
    request = BudgetSetRequested(
        workspace_id=workspace,
        subject=subject,
        tokens=NO_LIMIT if tokens is None else tokens,
        cost_micros=NO_LIMIT if money is None else round(money * MICROS),
    )
    run_async(_set(read_settings(bus, server, data), request))
    if as_json:
        print_json(request.model_dump(include={"workspace_id", "subject", "tokens", "cost_micros"}))
    else:
        print_line(f"{subject}  {'no limit' if none else _say(request.tokens, request.cost_micros)}")


def _say(tokens: int, cost_micros: int) -> str:
    parts = [f"{tokens} tokens"] * (tokens >= 0) + [f"{cost_micros / MICROS:g} of money"] * (cost_micros >= 0)
    return " and ".join(parts)


async def _set(settings: Settings, request: object) -> None:
    from services.cli.answer import obtain
    from services.cli.connection import asking
    from services.records.budget import BudgetRefused, BudgetSet, BudgetSetRequested

    assert isinstance(request, BudgetSetRequested)
    async with asking(settings) as bus:
        words = "the budget was refused"
        await obtain(bus, request, [BudgetSet], (BudgetRefused,), key=request.workspace_id, words=words)


@app.command("list")
def list_(bus: Bus = "", server: Server = "", data: Data = None, as_json: Json = False) -> None:
    """List the budgets with what is spent and what is given out."""
    from services.audit.budgets import describe
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_table

    books = run_async(_read(read_settings(bus, server, data)))
    found = [(each, books.limit(each)) for each in books.budgets.values()]
    if as_json:
        for each, limit in found:
            print_json(describe(each, limit))
    elif found:
        heads = ("WORKSPACE", "SUBJECT", "TOKENS", "MONEY", "REFUSED")
        rows = [
            (
                each.workspace_id,
                each.subject,
                f"{each.tokens.spent + each.tokens.granted} of {_limit(limit[0], 1)}",
                f"{(each.cost_micros.spent + each.cost_micros.granted) / MICROS:g} of {_limit(limit[1], MICROS)}",
                each.refused,
            )
            for each, limit in found
        ]
        print_table(heads, rows)


def _limit(most: int, unit: int) -> str:
    return "any" if most < 0 else f"{most / unit:g}"


@app.command()
def show(
    subject: Subject,
    workspace: Workspace = WORKSPACE_DEFAULT,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show one budget."""
    from services.audit.budgets import describe
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line

    books = run_async(_read(read_settings(bus, server, data)))
    found = books.budgets.get((workspace, subject))
    if found is None:
        raise Wrong(
            f"`{subject}` has no budget in the workspace `{workspace}`; `clawx budgets list` shows those there are"
        )
    told = describe(found, books.limit(found))
    if as_json:
        print_json(told)
        return
    for name, value in told.items():
        print_line(f"{name.replace('_', ' '):12}  {_flat(value)}")


def _flat(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {'-' if each is None else each}" for name, each in value.items())
    return "-" if value is None else str(value)


async def _read(settings: Settings) -> Books:
    from services.audit.budgets import BUDGETED, fold_budgets
    from services.cli.connection import reading

    async with reading(settings) as bus:
        return fold_budgets([each async for each in bus.subscribe("event", BUDGETED, live=False)])
