"""The `auto` driver: the strongest of those that work here; and what a node insists on whichever driver it is."""

from collections.abc import Mapping, Sequence

from services.factory.drivers.limits import find_missing
from services.factory.drivers.port import Driver, Worker, WorkerFailed, WorkerPlan
from services.records.content import Resources


def find_strongest(drivers: Mapping[str, Driver], resources: Resources) -> str:
    """The one with most limits in force for these resources; of equals the one that comes first. Raises WorkerFailed
    where there is none."""
    if not drivers:
        raise WorkerFailed("driver", "no driver that keeps workers apart works on this node")
    return max(drivers, key=lambda name: len(drivers[name].limits(resources)))


class AutoDriver:
    """Starts each worker with the strongest driver for its resources."""

    def __init__(self, drivers: Mapping[str, Driver]) -> None:
        self._drivers = drivers

    def limits(self, resources: Resources) -> tuple[str, ...]:
        return self._drivers[find_strongest(self._drivers, resources)].limits(resources)

    async def start(self, plan: WorkerPlan) -> Worker:
        return await self._drivers[find_strongest(self._drivers, plan.resources)].start(plan)

    async def close(self) -> None:
        """The others are closed by whoever made them."""


class InsistentDriver:
    """Starts no worker for which one of the required layers would not be in force."""

    def __init__(self, name: str, driver: Driver, required: Sequence[str]) -> None:
        self._name, self._driver, self._required = name, driver, required

    def limits(self, resources: Resources) -> tuple[str, ...]:
        return self._driver.limits(resources)

    async def start(self, plan: WorkerPlan) -> Worker:
        if missing := find_missing(self._required, self._driver.limits(plan.resources)):
            raise WorkerFailed(
                "limits",
                f"this node requires that {', '.join(self._required)} be limited, which the driver {self._name} cannot"
                f" do here for {', '.join(missing)}",
            )
        return await self._driver.start(plan)

    async def close(self) -> None:
        await self._driver.close()
