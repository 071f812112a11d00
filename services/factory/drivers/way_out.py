"""The one way to the network of a worker that has none: the proxy of its node, if it may reach any host at all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.factory.background import Background
from services.factory.drivers.limits import Limit
from services.factory.drivers.port import WorkerFailed, WorkerPlan
from services.factory.egress import EgressProxy

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""What is inside the sandbox itself, unless the list means that of the node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WayOut:
    """What a driver adds for it."""

    proxy: EgressProxy | None = None
    arguments: tuple[str, ...] = ()  # of the worker's program
    limits: tuple[Limit, ...] = ()

    def close(self, _: object = None) -> None:
        """The worker is gone."""
        if self.proxy:
            self.proxy.close()


@asynccontextmanager
async def open_way_out(plan: WorkerPlan, background: Background) -> AsyncIterator[WayOut]:
    """The way out of a worker that is being started; closed again if it does not start. Raises WorkerFailed."""
    if not plan.hosts:
        yield WayOut()
        return
    proxy = EgressProxy(plan.worker_id, plan.hosts, background)
    try:
        await proxy.start(plan.directory)
    except OSError as error:
        raise WorkerFailed("network", f"no proxy could be started in {plan.directory}: {error.strerror}") from error
    names = {host.rpartition(":")[0] for host in plan.hosts}
    direct = ",".join(name for name in _LOOPBACK if name not in names)
    way_out = WayOut(proxy=proxy, arguments=(direct,), limits=(Limit("network", ",".join(plan.hosts)),))
    try:
        yield way_out
    except BaseException:
        way_out.close()
        raise
