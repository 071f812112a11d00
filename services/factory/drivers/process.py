"""The `process` driver: a plain process in a session, a directory and an environment of its own; on a node that runs as
root also with a user of its own, which is what keeps it from the files and the processes of others."""

from services.factory.background import Background
from services.factory.drivers.launching import Launching
from services.factory.drivers.limits import Limit, describe_limits, resource_limits, write_rlimits
from services.factory.drivers.own_user import OwnUsers
from services.factory.drivers.port import WorkerPlan
from services.factory.worker.confinement import Confinement
from services.factory.worker.system_calls import can_filter
from services.factory.worker_process import WorkerProcess
from services.records.content import Resources


class ProcessDriver:
    """Starts workers through the launcher."""

    def __init__(self, launching: Launching, start_timeout_ms: int, background: Background, users: OwnUsers) -> None:
        self._launching, self._start_timeout_ms, self._background = launching, start_timeout_ms, background
        self._users = users

    def limits(self, resources: Resources) -> tuple[str, ...]:
        return describe_limits(self._limits(resources))

    def _limits(self, resources: Resources) -> list[Limit]:
        own = self._users.are_there
        found = resource_limits(resources, processes=own)
        if own:
            found.append(Limit("user", "own"))
            if can_filter():
                found.append(Limit("system_calls", "filtered"))
        return found

    async def start(self, plan: WorkerPlan) -> WorkerProcess:
        user = self._users.take(plan.directory)
        limits = self._limits(plan.resources)
        confinement = Confinement(
            user=user,
            rlimits=write_rlimits(limits),
            reach=self._users.reach(plan.directory) if user else (),
            filters_calls=bool(user) and can_filter(),
        )
        limits = [Limit("user", user), *limits] if user else limits
        worker = WorkerProcess(plan, self._launching, confinement, describe_limits(limits), self._background)
        worker.gone.add_done_callback(lambda _: self._users.release(user))
        await worker.start(self._start_timeout_ms)
        return worker

    async def close(self) -> None:
        await self._launching.close()
