"""Decides where the Kafka brokers of the tests come from: a given one, a container engine, or jars."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tests.brokers.absence import first_present
from tests.brokers.engine import require_engine
from tests.brokers.jars import kafka_jars
from tests.brokers.kafka_container import KafkaContainer
from tests.brokers.kafka_process import KafkaProcess
from tests.brokers.kafka_secured import Secured, SecuredKafkaProcess


class KafkaBroker(Protocol):
    """A real broker that a test may break; all methods block until what they ask for is so."""

    @property
    def bootstrap(self) -> str:
        """The address for clients; it stays the same over restarts."""

    def start(self) -> None:
        """Start it and return when it serves clients."""

    def stop(self) -> None:
        """End it in good order."""

    def kill(self) -> None:
        """End it at once, by SIGKILL."""

    def pause(self) -> None:
        """Freeze it: connections stay open and nobody answers."""

    def resume(self) -> None:
        """Let it go on after a pause."""

    def restart(self) -> None:
        """Start it again on its data and port."""


class KafkaSource:
    """Starts brokers, remembers them, and ends them all."""

    def __init__(self, new_home: Callable[[], Path]) -> None:
        self._new_home = new_home
        self._brokers: list[KafkaBroker] = []

    def shared(self) -> str:
        """Return the bootstrap servers that all tests share: KAFKA_BOOTSTRAP, or a broker started now."""
        return os.environ.get("KAFKA_BOOTSTRAP") or self.broker().bootstrap

    def broker(self) -> KafkaBroker:
        """Start a broker that the caller may break."""
        ways: list[tuple[str, Callable[[], KafkaBroker]]] = [("container", self._container), ("jars", self._process)]
        return first_present(ways)

    def secured(self) -> Secured:
        """Start a broker that wants TLS and a password; only from jars, since its users are made with its data."""
        broker = SecuredKafkaProcess(kafka_jars(), self._new_home())
        self._started(broker)
        return broker.clients

    def close(self) -> None:
        """End every broker that was started here."""
        while self._brokers:
            self._brokers.pop().stop()

    def _container(self) -> KafkaBroker:
        require_engine()
        return self._started(KafkaContainer())

    def _process(self) -> KafkaBroker:
        return self._started(KafkaProcess(kafka_jars(), self._new_home()))

    def _started(self, broker: KafkaBroker) -> KafkaBroker:
        try:
            broker.start()
        except BaseException:
            broker.stop()
            raise
        self._brokers.append(broker)
        return broker
