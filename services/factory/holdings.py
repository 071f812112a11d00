"""The instances that this node holds: their workers started on their owner's order, and ended with all they started."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any

from bus.clock import Clock
from bus.record import Envelope, derive_id
from services.factory.attempt_directory import remove_tree
from services.factory.attempts import Attempts
from services.factory.background import Background
from services.factory.drivers.port import Driver, WorkerFailed, WorkerPlan
from services.factory.equipment import Equipment
from services.factory.file_name import file_name
from services.factory.held_instance import HeldInstance
from services.factory.journal import Journal
from services.factory.profile import ProfileMissing, lay_profession
from services.factory.reports import Reports
from services.records.instance import InstanceStarting, InstanceStopping
from services.records.node import WorkerGone, WorkerStarted

logger = logging.getLogger(__name__)


class Holdings:
    """Held instances by id. `live` is awaited before a worker is reported started."""

    def __init__(
        self,
        *,
        directory: Path,
        drivers: Mapping[str, Driver],
        stop_grace_ms: int,
        live: Callable[[str], Coroutine[Any, Any, None]],
        attempts: Attempts,
        equipment: Equipment,
        journal: Journal,
        reports: Reports,
        background: Background,
        clock: Clock,
    ) -> None:
        self._directory, self._drivers, self._stop_grace_ms = directory, drivers, stop_grace_ms
        self._live, self._attempts, self._equipment, self._journal = live, attempts, equipment, journal
        self._reports, self._background, self._clock = reports, background, clock
        self._held: dict[str, HeldInstance] = {}

    def get(self, instance_id: str) -> HeldInstance | None:
        return self._held.get(instance_id)

    def __iter__(self) -> Iterator[HeldInstance]:
        return iter(list(self._held.values()))

    def start(self, envelope: Envelope) -> None:
        """Start a worker for an instance, unless this incarnation of it has been started already."""
        order: InstanceStarting = envelope.record
        held = self._held.get(order.instance_id)
        if held and held.session == order.node_session and held.incarnation >= order.incarnation:
            return
        directory = self._directory / file_name(f"{order.instance_id}.{order.incarnation}")
        new = HeldInstance(order=order, trace=envelope.trace, cause=str(envelope.at), directory=directory)
        self._held[order.instance_id] = new
        self._background.start(self._replace(held, new))

    async def _replace(self, old: HeldInstance | None, new: HeldInstance) -> None:
        if old:
            await self.finish(old, "a newer incarnation of the instance takes its place")
        await self._start(new)

    async def _start(self, held: HeldInstance) -> None:
        held.starting = asyncio.ensure_future(self._start_worker(held))
        try:
            await asyncio.shield(held.starting)
        except WorkerFailed as failure:
            await self.finish(held, held.stop_reason or failure.reason, failure.step)
            return
        assert held.worker
        held.worker.gone.add_done_callback(lambda gone: self._lost(held, gone.result()))
        stopping = asyncio.ensure_future(held.stopping.wait())
        live = asyncio.ensure_future(self._live(held.order.workspace_id))
        first: list[asyncio.Future[Any]] = [live, stopping, held.worker.gone]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if live.done():
            live.result()
            self._report_started(held)
        live.cancel()

    async def _start_worker(self, held: HeldInstance) -> None:
        order = held.order
        driver = self._drivers.get(order.driver)
        if driver is None:
            raise WorkerFailed("driver", f"this node offers no driver {order.driver!r}, only {sorted(self._drivers)}")
        self._write_journal(held)
        try:
            held.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            await self._lay_profession(held)
        except OSError as error:
            raise WorkerFailed("directory", f"{held.directory} cannot be made: {error.strerror}") from error
        except ProfileMissing as error:
            raise WorkerFailed("profession", str(error)) from error
        held.worker = await driver.start(self._plan(held))
        held.steps["initialisation"] = self._clock.now_ms()
        self._write_journal(held, pid=held.worker.pid, born=held.worker.born)
        held.steps["registration"] = self._clock.now_ms()

    async def _lay_profession(self, held: HeldInstance) -> None:
        """What its profession says, before the worker starts; a script needs none."""
        held.profession = await self._equipment.find_profession(held.order)
        if held.profession and held.agent != "script":
            lay_profession(held.profession, held.directory)

    def _plan(self, held: HeldInstance) -> WorkerPlan:
        return WorkerPlan(
            worker_id=f"{held.worker_id}.{held.session}",
            directory=held.directory,
            agent=held.agent,
            hosts=self._equipment.find_hosts(held.profession),
            resources=held.order.resources,
            ended=self._attempts.end,
            printed=self._attempts.print,
            calls=self._attempts.calls,
            used=self._attempts.use,
            sent=self._attempts.send,
            received=self._attempts.receive,
        )

    def _write_journal(self, held: HeldInstance, **process: int) -> None:
        order = held.order
        self._journal.write(
            "instance",
            held.instance_id,
            workspace_id=order.workspace_id,
            node_session=order.node_session,
            incarnation=order.incarnation,
            directory=str(held.directory),
            durable=bool(process.get("pid")),
            **process,
        )

    def _report_started(self, held: HeldInstance) -> None:
        if held.finishing or held.worker is None:
            return
        held.is_ready = True
        held.steps["health_check"] = self._clock.now_ms()
        order, worker = held.order, held.worker
        report = WorkerStarted(
            workspace_id=order.workspace_id,
            instance_id=order.instance_id,
            node_id=order.node_id,
            node_session=order.node_session,
            incarnation=order.incarnation,
            pid=worker.pid,
            limits=worker.limits,
            steps=held.steps,
        )
        record_id = derive_id(order.node_session, "started", order.instance_id, order.incarnation)
        self._reports.add(report, record_id, trace=held.trace, cause=held.cause)

    def _lost(self, held: HeldInstance, status: str) -> None:
        if not held.finishing:
            self._background.start(self.finish(held, held.stop_reason or f"the worker {status}"))

    def stop(self, envelope: Envelope) -> None:
        """End the worker of an instance in order; if there is none, say so at once."""
        order: InstanceStopping = envelope.record
        held = self._held.get(order.instance_id)
        if held and held.session == order.node_session and held.incarnation == order.incarnation:
            self.begin_finish(held, order.reason or "stopped")
        else:
            self._reports.add(
                worker_gone(order, "there is no such worker here"),
                gone_id(order),
                trace=envelope.trace,
                cause=str(envelope.at),
            )

    def begin_finish(self, held: HeldInstance, reason: str) -> None:
        """End a worker in order, with the grace; what waits for its start is told."""
        if held.stop_reason is None and not held.finishing:
            held.stop_reason = reason
            held.stopping.set()
            self._background.start(self.finish(held, reason, grace_ms=self._stop_grace_ms))

    async def finish(self, held: HeldInstance, reason: str, step: str = "", *, grace_ms: int = 0) -> None:
        """End the worker with all it started, answer its attempts, report it gone; all of it once."""
        if held.finishing is None:
            held.finishing = self._background.start(self._finish(held, reason, step, grace_ms))
        await asyncio.shield(held.finishing)

    async def _finish(self, held: HeldInstance, reason: str, step: str, grace_ms: int) -> None:
        if held.starting and not held.starting.done():
            await asyncio.wait([held.starting])
        if held.worker:
            await held.worker.end(grace_ms=grace_ms)
        await self._attempts.lose(held, reason)
        await asyncio.to_thread(remove_tree, held.directory)
        await self._reports.settle(worker_gone(held.order, reason, step), gone_id(held.order))
        if self._held.get(held.instance_id) is held:
            del self._held[held.instance_id]
            self._journal.write("gone", held.instance_id)

    async def finish_all(self, reason: str, *, grace_ms: int = 0) -> None:
        """End every worker, at once unless there is a grace."""
        await asyncio.gather(*(self.finish(held, reason, grace_ms=grace_ms) for held in list(self._held.values())))


def gone_id(order: InstanceStarting | InstanceStopping) -> str:
    """The id of a worker's last report."""
    return derive_id(order.node_session, "gone", order.instance_id, order.incarnation)


def worker_gone(order: InstanceStarting | InstanceStopping, reason: str, step: str = "") -> WorkerGone:
    """The worker that was ordered does not exist any more."""
    return WorkerGone(
        workspace_id=order.workspace_id,
        instance_id=order.instance_id,
        node_id=order.node_id,
        node_session=order.node_session,
        incarnation=order.incarnation,
        reason=reason,
        step=step,
    )
