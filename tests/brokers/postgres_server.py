"""A PostgreSQL server of the tests' own, from the binaries that the machine has."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg

from tests.brokers.absence import AbsentError
from tests.brokers.loopback import HOST, free_ports
from tests.eventually import eventually_blocking

DEBIAN_HOME = Path("/usr/lib/postgresql")
OWNER = "clawx"
READY_TIMEOUT_S = 120
STOP_TIMEOUT_S = 60
# Whoever runs the tests as root needs somebody else for the server, which refuses root.
STAND_INS = ("postgres", "nobody")


class PostgresServer:
    """One server with its port and data directory, run by a user who is not root.

    It does not force its writes to disk: a killed process loses nothing by that, only a lost machine would.
    """

    def __init__(self) -> None:
        self._binaries = _binaries()
        self._home = Path(tempfile.mkdtemp(prefix="clawx-postgres-"))
        self._user = _stand_in()
        self._process: subprocess.Popen[bytes] | None = None
        (self.port,) = free_ports(1)
        if self._user is not None:
            os.chown(self._home, self._user, -1)
        self._run("initdb", "--no-sync", "--auth=trust", f"--username={OWNER}", "--encoding=UTF8", "--locale=C.UTF-8")

    @property
    def url(self) -> str:
        """The address of the server's first database, as libpq reads it."""
        return f"postgresql://{OWNER}@{HOST}:{self.port}/postgres"

    def start(self) -> None:
        """Start it and return when it accepts connections."""
        options = ["-c", f"listen_addresses={HOST}", "-c", f"port={self.port}", "-c", "fsync=off"]
        command = [str(self._binaries / "postgres"), "-D", str(self._data), *options, "-c", "unix_socket_directories="]
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self._home, user=self._user
            )
        try:
            eventually_blocking(self._accepts, READY_TIMEOUT_S, what=f"PostgreSQL on {HOST}:{self.port}")
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it fast and in good order."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(STOP_TIMEOUT_S)
            self._process = None

    def kill(self) -> None:
        """End it at once, by SIGKILL; its children notice and go."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT_S)
            self._process = None

    def remove(self) -> None:
        """End it and delete its data."""
        self.stop()
        shutil.rmtree(self._home)

    @property
    def output(self) -> Path:
        """The file that the server's words go to."""
        return self._home / "postgres.log"

    @property
    def _data(self) -> Path:
        return self._home / "data"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), "-D", str(self._data), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self._home, user=self._user)

    def _accepts(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended; its log says: {self.output.read_text()[-2000:]}")
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def _binaries() -> Path:
    """Find the newest server that Debian's packages put beside each other, or one on the path."""
    homes = sorted(DEBIAN_HOME.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    found = homes[-1] if homes else shutil.which("postgres")
    if not found or not Path(found).with_name("initdb").exists():
        raise AbsentError(f"no `initdb` and `postgres` in {DEBIAN_HOME}/*/bin or on the path")
    return Path(found).parent


def _stand_in() -> int | None:
    """Pick the user that the server runs as, where we are root."""
    if os.geteuid() != 0:
        return None
    for name in STAND_INS:
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    raise AbsentError(f"PostgreSQL refuses root, and none of {', '.join(STAND_INS)} exists")
