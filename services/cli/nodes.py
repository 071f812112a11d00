"""`clawx nodes`: the hosts that instances run on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Wrong
from services.cli.option import Bus, Data, Json, Server, read_settings

if TYPE_CHECKING:
    from services.gateway.views.nodes import KeptNode
    from services.settings import Settings

app = typer.Typer(help="The hosts that instances run on.", no_args_is_help=True)

HEADS = ("node_id", "pool", "status", "instances", "slots_free", "cpu_free", "memory_mib_free", "drivers", "reason")

Node = Annotated[str, typer.Argument(metavar="NODE", help="Its id.")]
Pool = Annotated[str, typer.Option("--pool", help="The pool that it belongs to.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept in the log.")]


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Those that are lost too.")] = False,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List the nodes, and what is left of each."""
    from services.cli.loop import run_async
    from services.cli.terminal import print_rows

    found = run_async(_read(read_settings(bus, server, data)))
    print_rows([_row(node) for node in found if every or node.status != "lost"], HEADS, as_json)


def _row(node: KeptNode) -> dict[str, object]:
    from services.gateway.views.nodes import total

    granted = total([grant.resources for grant in node.grants.values()])
    return {
        "node_id": node.node_id,
        "pool": node.pool,
        "status": node.status,
        "instances": len(node.grants),
        "slots_free": node.capacity.slots - granted.slots,
        "cpu_free": (node.capacity.cpu_millis - granted.cpu_millis) / 1000,
        "memory_mib_free": node.capacity.memory_mib - granted.memory_mib,
        "drivers": ",".join(node.drivers),
        "reason": node.reason or None,
    }


async def _read(settings: Settings) -> list[KeptNode]:
    from services.cli.connection import reading
    from services.gateway.views.nodes import NodeView

    view = NodeView()
    async with reading(settings) as bus:
        async for envelope in bus.subscribe("event", view.wants, live=False):
            view.apply(envelope)
    return [view.nodes[name] for name in sorted(view.nodes)]


@app.command()
def cordon(
    node: Node,
    pool: Pool = "default",
    reason: Reason = "",
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Give no new instances to a node; those that it has stay."""
    _set(read_settings(bus, server, data), node, pool, cordoned=True, reason=reason, as_json=as_json)


@app.command()
def uncordon(
    node: Node,
    pool: Pool = "default",
    reason: Reason = "",
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Give instances to a node again."""
    _set(read_settings(bus, server, data), node, pool, cordoned=False, reason=reason, as_json=as_json)


def _set(settings: Settings, node: str, pool: str, *, cordoned: bool, reason: str, as_json: bool) -> None:
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line

    run_async(_ask(settings, node, pool, cordoned, reason))
    status = "cordoned" if cordoned else "ready"
    if as_json:
        print_json({"node_id": node, "pool": pool, "status": status})
    else:
        print_line(f"{node}  {status}")


async def _ask(settings: Settings, node: str, pool: str, cordoned: bool, reason: str) -> None:
    from services.cli.answer import obtain
    from services.cli.connection import asking
    from services.records.event import NodeCordoned, NodeCordonRequested, NodeRefused, pool_key

    if not node:
        raise Wrong("NODE is empty: give the id of a node, see `clawx nodes list`")
    request = NodeCordonRequested(pool=pool, node_id=node, cordoned=cordoned, reason=reason)
    async with asking(settings) as bus:
        await obtain(bus, request, [NodeCordoned], (NodeRefused,), key=pool_key(pool))
