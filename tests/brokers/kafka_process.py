"""A Kafka broker of the tests' own as a Java process, to be killed, paused and started again."""

import os
import signal
import subprocess
from pathlib import Path

from tests.brokers.loopback import HOST, free_ports
from tests.brokers.metadata import serves_clients
from tests.eventually import eventually_blocking

READY_TIMEOUT_S = 180
STOP_TIMEOUT_S = 60
PORT_TRIES = 3

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers={host}:{controller_port}
listeners={protocol}://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners={protocol}://{host}:{port},CONTROLLER://{host}:{controller_port}
controller.listener.names=CONTROLLER
listener.security.protocol.map={protocol}:{protocol},CONTROLLER:PLAINTEXT
inter.broker.listener.name={protocol}
log.dirs={home}/data-{port}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
# A killed broker may register again only when its old session has run out.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""


class KafkaProcess:
    """One broker, its port and its data directory.

    All methods block until what they ask for is so; in a coroutine call them by `asyncio.to_thread`.
    """

    protocol = "PLAINTEXT"
    heap = ("-Xms512m", "-Xmx1g")

    def __init__(self, jars: Path, home: Path) -> None:
        self._jars = jars
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def bootstrap(self) -> str:
        """The address for clients; it stays the same over restarts."""
        return f"{HOST}:{self.port}"

    @property
    def output(self) -> Path:
        """The file that the broker's words go to."""
        return self._home / "broker.log"

    def start(self) -> None:
        """Start it and return when it serves clients; the first time, on ports that were free a moment ago."""
        if self.port:
            self._launch()
            return
        for tries_left in reversed(range(PORT_TRIES)):
            self._format()
            try:
                self._launch()
                return
            except AssertionError:
                if not tries_left or "BindException" not in self.output.read_text():
                    raise

    def stop(self) -> None:
        """End it in good order; whatever does not end so is killed."""
        if self._process is None:
            return
        self.resume()
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reap()

    def kill(self) -> None:
        """End it at once, by SIGKILL."""
        self._signal(signal.SIGKILL)
        self._reap()

    def pause(self) -> None:
        """Freeze it, by SIGSTOP: connections stay open and nobody answers. All of its threads stand still then."""
        self._signal(signal.SIGSTOP)
        assert self._process is not None
        threads = Path(f"/proc/{self._process.pid}/task")
        eventually_blocking(lambda: all(_is_stopped(each) for each in threads.glob("*/stat")), what="a frozen broker")

    def resume(self) -> None:
        """Let it go on after a pause."""
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Start it again on its data and port, after stopping it where it still runs."""
        self.stop()
        self.start()

    def _format(self) -> None:
        self.port, controller_port = free_ports(2)
        self._home.mkdir(parents=True, exist_ok=True)
        text = PROPERTIES.format(
            protocol=self.protocol, host=HOST, port=self.port, controller_port=controller_port, home=self._home
        )
        self._properties.write_text(text + self._further_properties())
        tool = self._java("-XX:TieredStopAtLevel=1", main="kafka.tools.StorageTool")
        identity = subprocess.run([*tool, "random-uuid"], check=True, capture_output=True, text=True).stdout.split()[-1]
        with self.output.open("ab") as output:
            options = ["--standalone", "-t", identity, "-c", str(self._properties), *self._format_options()]
            subprocess.run([*tool, "format", *options], check=True, stdout=output, stderr=output)

    def _launch(self) -> None:
        self.spawn()
        self.wait_ready()

    def spawn(self) -> None:
        """Start the process and do not wait."""
        command = [*self._java(*self.heap, main="kafka.Kafka"), str(self._properties)]
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def wait_ready(self) -> None:
        """Return when a spawned one serves clients."""
        try:
            eventually_blocking(self._is_decided, READY_TIMEOUT_S, what=f"a Kafka broker on {self.bootstrap}")
            assert self._process
            assert self._process.poll() is None, f"the broker ended; its log says: {self.output.read_text()[-2000:]}"
        except BaseException:
            self.kill()
            raise

    def _is_decided(self) -> bool:
        """Tell whether it serves or has ended, which is all there is to wait for."""
        assert self._process is not None
        return self._process.poll() is not None or self._serves()

    def _serves(self) -> bool:
        return serves_clients(HOST, self.port)

    def _further_properties(self) -> str:
        """What a broker with demands of its own is told beyond the rest."""
        return ""

    def _format_options(self) -> list[str]:
        """What its data directory is made with beyond the rest."""
        return []

    def _java(self, *options: str, main: str) -> list[str]:
        return ["java", *options, "-cp", f"{self._jars}/*", main]

    @property
    def _properties(self) -> Path:
        return self._home / "server.properties"

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, number)

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait(STOP_TIMEOUT_S)
            self._process = None


def _is_stopped(stat: Path) -> bool:
    """Whether a thread stands still, or is gone; its state comes behind the name, which is in brackets."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "T"
    except (FileNotFoundError, ProcessLookupError):
        return True
