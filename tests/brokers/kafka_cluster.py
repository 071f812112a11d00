"""Three Kafka brokers of the tests' own that replicate to one another, of which one may be lost."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.brokers.kafka_process import PROPERTIES, KafkaProcess
from tests.brokers.loopback import HOST, free_ports

MEMBERS = 3

REPLICATED = """\
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
"""


class KafkaMember(KafkaProcess):
    """One broker of a cluster, which is also one of its controllers."""

    heap = ("-Xms256m", "-Xmx512m")

    def __init__(self, jars: Path, home: Path, node: int, ports: list[tuple[int, int]], identity: str) -> None:
        super().__init__(jars, home)
        self._node, self._ports, self._identity = node, ports, identity

    def format(self) -> None:
        """Make its data directory."""
        self.port, controller_port = self._ports[self._node - 1]
        self._home.mkdir(parents=True, exist_ok=True)
        text = PROPERTIES.format(
            protocol=self.protocol, host=HOST, port=self.port, controller_port=controller_port, home=self._home
        )
        voters = ",".join(f"{node}@{HOST}:{each}" for node, (_, each) in enumerate(self._ports, 1))
        lines = [line for line in text.splitlines() if not line.startswith(("node.id", "controller.quorum"))]
        lines += [f"node.id={self._node}", f"controller.quorum.voters={voters}"]
        self._properties.write_text("\n".join(lines) + "\n" + REPLICATED)
        tool = self._java("-XX:TieredStopAtLevel=1", main="kafka.tools.StorageTool")
        with self.output.open("ab") as output:
            command = [*tool, "format", "-t", self._identity, "-c", str(self._properties)]
            subprocess.run(command, check=True, stdout=output, stderr=output)


class KafkaCluster:
    """Its brokers by number, from 0 on; all methods block until what they ask for is so."""

    def __init__(self, jars: Path, home: Path) -> None:
        ports = free_ports(2 * MEMBERS)
        pairs = list(zip(ports[::2], ports[1::2], strict=True))
        identity = "clawxTestClusterAAAAAA"
        self.members = [KafkaMember(jars, home / str(node), node, pairs, identity) for node in range(1, MEMBERS + 1)]

    @property
    def bootstrap(self) -> str:
        """The addresses for clients."""
        return ",".join(member.bootstrap for member in self.members)

    def start(self) -> None:
        """Start all, since none serves alone."""
        for member in self.members:
            member.format()
        for member in self.members:
            member.spawn()
        for member in self.members:
            member.wait_ready()

    def stop(self) -> None:
        """End all, at once: their data goes too."""
        for member in self.members:
            member.kill()
