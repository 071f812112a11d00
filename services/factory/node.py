"""The node: the supervisor of one host. It obeys facts that name it, runs workers, and reports what they did.

Node                joins its pool under a new random session, hears facts, ends everything when the session is over
├── Hearing         which partitions it follows, and catching up with new ones
├── Holdings        instances and their workers, by their owner's orders
├── Attempts        work given to workers, each answered by one end report
├── Reports         on their way into the log, kept in the Journal until they are there
└── Telemetry       heartbeats and lines of output
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bus.blobs import BlobStore
from bus.clock import Clock
from bus.codec import Codec
from bus.errors import Unavailable
from bus.log import Log
from bus.publisher import Publisher
from bus.record import Envelope, Record, derive_id
from services.factory.attempts import Attempts
from services.factory.background import Background
from services.factory.drivers.catalogue import DRIVERS, Drivers, Isolation
from services.factory.drivers.launching import Launching
from services.factory.drivers.port import Driver
from services.factory.equipment import Equipment
from services.factory.hearing import Hearing
from services.factory.holdings import Holdings
from services.factory.journal import Journal
from services.factory.leftovers import kill_leftovers, read_boot
from services.factory.lock import DirectoryLock
from services.factory.mail import Mail
from services.factory.node_session import NodeSession
from services.factory.output_store import OutputStore
from services.factory.past import report_past
from services.factory.pulse import take_pulses
from services.factory.reports import Reports
from services.factory.secrets import Secrets
from services.factory.telemetry import Telemetry
from services.records.budget import TrancheGranted, TrancheRefused
from services.records.content import Resources
from services.records.instance import InstanceEnded, InstanceStarting, InstanceStopping
from services.records.message import MessageSent
from services.records.node import CapacityGranted, NodeAccepted, NodeJoined, NodeLeft, NodeLost, NodeRefused, pool_key
from services.records.task import AttemptCancelled, TaskAssigned
from services.records.telemetry import NodeHeartbeat

logger = logging.getLogger(__name__)

CLOSE_MS_MAX = 5_000
"""How long an orderly end waits for the log; what it could not say is said by the next life of the node."""

SAVE_MS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """What a node is told when it is made."""

    node_id: str
    directory: Path
    capacity: Resources
    solid: Resources | None = None  # of that, what is promised only once
    pool: str = "default"
    drivers: tuple[str, ...] = DRIVERS  # offered as far as they work on this machine
    required_limits: tuple[str, ...] = ()  # layers without which no worker is started, see drivers/limits.py
    own_users: bool = True
    docker_image: str = ""  # for workers in containers
    secrets: tuple[str, ...] = ()  # names of variables and paths of files that agents may be handed
    hosts: tuple[str, ...] = ()  # NAME:PORT that every worker may reach
    model_url: str = ""  # of the endpoint for agents that take any model
    heartbeat_ms: int = 1_000
    lease_ms: int = 5_000
    start_timeout_ms: int = 5_000
    stop_grace_ms: int = 300


class Node:
    """One supervisor. `run` until it is cancelled or fails, then `close`, which ends it in order."""

    def __init__(self, log: Log, codec: Codec, blobs: BlobStore, clock: Clock, settings: NodeSettings) -> None:
        self._log, self._codec, self._blobs, self._clock, self._settings = log, codec, blobs, clock, settings
        self._instances = settings.directory.resolve() / "instances"
        self._publisher = Publisher(log, codec, clock)
        self._lock: DirectoryLock | None = None
        self._session = NodeSession(settings.pool, settings.node_id)
        self._hears: dict[type[Record], Callable[[Envelope], None]] = {
            CapacityGranted: self._granted,
            InstanceStarting: self._starting,
            InstanceStopping: self._stopping,
            InstanceEnded: self._instance_ended,
            TaskAssigned: self._assigned,
            AttemptCancelled: self._cancelled,
            MessageSent: self._message_sent,
            NodeAccepted: lambda envelope: self._session.accept(envelope.record),
            NodeRefused: lambda envelope: self._session.refuse(envelope.record),
            NodeLost: lambda envelope: self._session.lose(envelope.record),
            TrancheGranted: self._budgeted,
            TrancheRefused: self._budgeted,
        }

    @property
    def session(self) -> str:
        """Its present session."""
        return self._session.id

    @property
    def is_accepted(self) -> bool:
        """Whether its session takes part."""
        return self._session.is_accepted

    @property
    def drivers(self) -> Mapping[str, Driver]:
        """Those that it offers."""
        return self._drivers.by_name

    async def run(self) -> None:
        """Serve. Raises DirectoryLocked or NodeUnwanted with a sentence for the person who started it."""
        await self._open()
        serving = self._background.start(self._serve())
        await asyncio.wait(
            [serving, self._background.failure, self._reports.failure], return_when=asyncio.FIRST_COMPLETED
        )
        for ended in (self._background.failure, self._reports.failure, serving):
            if ended.done():
                ended.result()

    async def _open(self) -> None:
        """Take the directory, end and report what an earlier life left in it."""
        directory = self._settings.directory.resolve()
        lock = DirectoryLock.take(directory)
        try:
            self._journal = Journal(directory)
        except OSError as error:
            lock.release()
            raise Unavailable(f"a node cannot work in {directory}: {error.strerror}") from error
        except BaseException:
            lock.release()
            raise
        self._make_parts()
        self._lock = lock
        kill_leftovers(self._journal, self._instances)
        await report_past(
            self._journal, self._reports, self._store, self._clock, self._settings.node_id, self._instances
        )

    def _make_parts(self) -> None:
        settings = self._settings
        self._background = Background()
        self._reports = Reports(self._publisher, self._codec, self._clock, self._log.partitions, self._journal)
        self._launching = Launching(
            settings.directory.resolve(),
            started=lambda pid, born: self._journal.write("launcher", pid=pid, born=born, durable=True),
            lost=lambda: kill_leftovers(self._journal, self._instances),
        )
        self._telemetry = Telemetry(self._publisher, self._codec, self._clock, self._log.partitions)
        secrets = Secrets(settings.secrets, os.environ)
        equipment = Equipment(self._blobs, secrets, settings.model_url, settings.hosts)
        self._store = OutputStore(self._blobs, secrets)
        self._mail = Mail(blobs=self._blobs, clock=self._clock, reports=self._reports, background=self._background)
        self._attempts = Attempts(
            blobs=self._blobs,
            store=self._store,
            equipment=equipment,
            clock=self._clock,
            journal=self._journal,
            reports=self._reports,
            telemetry=self._telemetry,
            background=self._background,
            mail=self._mail,
        )
        self._hearing = Hearing(
            log=self._log,
            codec=self._codec,
            places=self._journal.places,
            hear=lambda envelope: self._hears[type(envelope.record)](envelope),
            background=self._background,
        )
        self._drivers = self._make_drivers()
        self._holdings = Holdings(
            directory=self._instances,
            drivers=self._drivers.by_name,
            stop_grace_ms=settings.stop_grace_ms,
            live=self._hearing.live,
            attempts=self._attempts,
            equipment=equipment,
            journal=self._journal,
            reports=self._reports,
            background=self._background,
            clock=self._clock,
        )

    def _make_drivers(self) -> Drivers:
        settings = self._settings
        isolation = Isolation(
            drivers=settings.drivers,
            required=settings.required_limits,
            own_users=settings.own_users,
            docker_image=settings.docker_image,
        )
        directory = settings.directory.resolve()
        return Drivers(isolation, directory, self._launching, settings.start_timeout_ms, self._background)

    async def _serve(self) -> None:
        await self._hearing.live(pool_key(self._settings.pool), ("event",))
        self._background.start(self._beat())
        self._background.start(self._save())
        while True:
            await self._join()
            reason = await self._session.until_over()
            logger.warning("session %s of node %s is over: %s", self.session, self._settings.node_id, reason)
            await self._holdings.finish_all(reason)
            self._session.check()

    async def _join(self) -> None:
        """Ask the pool to take part, under a new session."""
        settings = self._settings
        self._session = NodeSession(settings.pool, settings.node_id, self._journal.sessions)
        self._journal.write("session", self.session, boot=read_boot(), durable=True)
        report = NodeJoined(
            pool=settings.pool,
            node_id=settings.node_id,
            node_session=self.session,
            capacity=settings.capacity,
            solid=settings.solid,
            drivers=tuple(self._drivers.by_name),
        )
        await self._reports.settle(report, derive_id(self.session, "joined"))

    def _is_mine(self, record: Any) -> bool:
        return bool(record.node_session == self._session.id and record.node_id == self._settings.node_id)

    def _granted(self, envelope: Envelope) -> None:
        record: CapacityGranted = envelope.record
        if self._is_mine(record):
            self._background.start(self._hearing.live(record.workspace_id))

    def _starting(self, envelope: Envelope) -> None:
        if self._is_mine(envelope.record) and not self._session.is_over:
            self._holdings.start(envelope)

    def _stopping(self, envelope: Envelope) -> None:
        if self._is_mine(envelope.record):
            self._holdings.stop(envelope)

    def _instance_ended(self, envelope: Envelope) -> None:
        if held := self._holdings.get(envelope.record.instance_id):
            self._holdings.begin_finish(held, f"the instance ended: {envelope.record.reason or 'no reason given'}")

    def _assigned(self, envelope: Envelope) -> None:
        order: TaskAssigned = envelope.record
        if not self._is_mine(order) or self._attempts.knows(order.attempt_id):
            return
        held = self._holdings.get(order.instance_id)
        if held and held.is_ready and held.incarnation == order.incarnation and not held.finishing:
            self._attempts.assign(held, envelope)
        else:
            self._attempts.refuse(envelope, f"instance {order.instance_id} has no worker here any more")

    def _cancelled(self, envelope: Envelope) -> None:
        if envelope.record.node_id == self._settings.node_id:
            self._attempts.cancel(envelope.record.attempt_id, envelope.record.reason)

    def _budgeted(self, envelope: Envelope) -> None:
        if self._is_mine(envelope.record):
            self._attempts.hear_budget(envelope.record)

    def _message_sent(self, envelope: Envelope) -> None:
        for delivery in envelope.record.deliveries:
            held = self._holdings.get(delivery.instance_id) if self._is_mine(delivery) else None
            if held and held.incarnation == delivery.incarnation and not held.finishing:
                self._mail.take(held, envelope)

    async def _beat(self) -> None:
        settings = self._settings
        while True:
            for pulses in take_pulses(self._holdings) if self.is_accepted else ():
                heartbeat = NodeHeartbeat(
                    pool=settings.pool,
                    node_id=settings.node_id,
                    node_session=self.session,
                    workers=pulses,
                    lease_ms=settings.lease_ms,
                )
                self._telemetry.add(heartbeat)
            await asyncio.sleep(settings.heartbeat_ms / 1000)

    async def _save(self) -> None:
        saved = self._journal.places
        while True:
            await asyncio.sleep(SAVE_MS / 1000)
            if (places := self._hearing.save()) != saved:
                saved = places
                self._journal.write("places", places=places)

    async def close(self) -> None:
        """End every worker, say so, leave the pool, let go of the directory."""
        if self._lock is None:
            return
        try:
            await asyncio.wait_for(self._leave(), CLOSE_MS_MAX / 1000)
        except TimeoutError:
            logger.warning("node %s could not say all before its end; its next life will", self._settings.node_id)
        finally:
            await self._let_go()

    async def _leave(self) -> None:
        was_accepted = self.is_accepted
        await self._holdings.finish_all("its node is stopping", grace_ms=self._settings.stop_grace_ms)
        if was_accepted:
            settings = self._settings
            report = NodeLeft(pool=settings.pool, node_id=settings.node_id, node_session=self.session, reason="stopped")
            await self._reports.settle(report, derive_id(self.session, "left"))
        await self._reports.drain()

    async def _let_go(self) -> None:
        await self._background.close()
        await self._launching.close()
        self._drivers.close()
        await self._reports.close()
        await self._telemetry.close()
        self._journal.write("places", places=self._hearing.save(), durable=True)
        await self._hearing.close()
        await self._publisher.close()
        self._journal.close()
        assert self._lock
        self._lock.release()
        self._lock = None
