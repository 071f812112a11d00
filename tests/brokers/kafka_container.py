"""A Kafka broker of the tests' own in a container, where a container engine answers."""

from docker.errors import DockerException
from testcontainers.core.container import DockerContainer

from tests.brokers.absence import AbsentError
from tests.brokers.loopback import HOST, free_ports
from tests.brokers.metadata import serves_clients
from tests.eventually import eventually_blocking

IMAGE = "apache/kafka:4.3.1"
CLIENT_PORT = 9092
CONTROLLER_PORT = 9093
READY_TIMEOUT_S = 180


class KafkaContainer:
    """One broker with the same methods as a KafkaProcess; its data lives as long as its container."""

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self._container: DockerContainer | None = None

    @property
    def bootstrap(self) -> str:
        """The address for clients; it stays the same over restarts."""
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        """Start it and return when it serves clients."""
        if self._container is None:
            self._container = _container(self.port)
            try:
                self._container.start()
            except (DockerException, OSError) as error:
                raise AbsentError(f"{IMAGE} does not start: {error}") from error
        else:
            self._container.get_wrapped_container().start()
        eventually_blocking(lambda: serves_clients(HOST, self.port), READY_TIMEOUT_S, f"Kafka on {self.bootstrap}")

    def stop(self) -> None:
        """End it in good order and remove it with its data."""
        if self._container is not None:
            self._container.stop()
            self._container = None

    def kill(self) -> None:
        """End it at once, by SIGKILL; its data stays for a restart."""
        assert self._container is not None
        self._container.get_wrapped_container().kill()

    def pause(self) -> None:
        """Freeze it: connections stay open and nobody answers."""
        assert self._container is not None
        self._container.get_wrapped_container().pause()

    def resume(self) -> None:
        """Let it go on after a pause."""
        assert self._container is not None
        self._container.get_wrapped_container().unpause()

    def restart(self) -> None:
        """Start it again on its data and port, after stopping it where it still runs."""
        assert self._container is not None
        self._container.get_wrapped_container().stop()
        self.start()


def _container(port: int) -> DockerContainer:
    container = DockerContainer(IMAGE).with_bind_ports(CLIENT_PORT, port)
    for name, value in _settings(port).items():
        container.with_env(f"KAFKA_{name}", value)
    return container


def _settings(port: int) -> dict[str, str]:
    return {
        "NODE_ID": "1",
        "PROCESS_ROLES": "broker,controller",
        "LISTENERS": f"PLAINTEXT://:{CLIENT_PORT},CONTROLLER://:{CONTROLLER_PORT}",
        "ADVERTISED_LISTENERS": f"PLAINTEXT://{HOST}:{port}",
        "CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "CONTROLLER_QUORUM_VOTERS": f"1@localhost:{CONTROLLER_PORT}",
        "OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "OFFSETS_TOPIC_NUM_PARTITIONS": "4",
        "TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "AUTO_CREATE_TOPICS_ENABLE": "false",
        "BROKER_SESSION_TIMEOUT_MS": "3000",
        "BROKER_HEARTBEAT_INTERVAL_MS": "500",
    }
