"""The `process` driver: a plain process in a session, a directory and an environment of its own."""

from services.factory.background import Background
from services.factory.drivers.launching import Launching
from services.factory.drivers.port import WorkerPlan
from services.factory.worker_process import WorkerProcess

LIMITS = ("core_bytes=0",)
"""What the launcher sets for such a worker."""


class ProcessDriver:
    """Starts workers through the launcher."""

    def __init__(self, launching: Launching, start_timeout_ms: int, background: Background) -> None:
        self._launching, self._start_timeout_ms, self._background = launching, start_timeout_ms, background

    async def start(self, plan: WorkerPlan) -> WorkerProcess:
        worker = WorkerProcess(plan, self._launching, LIMITS, self._background)
        await worker.start(self._start_timeout_ms)
        return worker

    async def close(self) -> None:
        await self._launching.close()
