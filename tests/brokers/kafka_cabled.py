"""A Kafka broker that its clients reach through a cable that can be cut."""

from __future__ import annotations

from pathlib import Path

from tests.brokers.cable import Cable
from tests.brokers.kafka_process import KafkaProcess
from tests.brokers.loopback import HOST, free_ports


class CabledKafka(KafkaProcess):
    """A broker that names the other end of its cable as its address."""

    def __init__(self, jars: Path, home: Path, cable: Cable) -> None:
        super().__init__(jars, home)
        self._cable = cable

    @property
    def bootstrap(self) -> str:
        """The end of the cable."""
        return f"{HOST}:{self._cable.port}"

    def _format(self) -> None:
        super()._format()
        (port,) = free_ports(1)
        self._cable.lay(port, self.port)
        own, told = f"advertised.listeners={self.protocol}://{HOST}:{self.port}", f"{self.protocol}://{HOST}:{port}"
        text = self._properties.read_text()
        assert own in text
        self._properties.write_text(text.replace(own, f"advertised.listeners={told}"))
