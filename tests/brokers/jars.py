"""Fetches the jars of a Kafka broker through Maven, once a machine and user."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.brokers.absence import AbsentError

POM = Path(__file__).parent / "pom.xml"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
FETCH_TIMEOUT_S = 300


def kafka_jars() -> Path:
    """Return the directory with the jars; several processes may ask at once, one of them fetches."""
    if not shutil.which("java"):
        raise AbsentError("no `java` on the path")
    home = _cache() / f"kafka-4.3.1-{hashlib.sha256(POM.read_bytes()).hexdigest()[:8]}"
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.is_dir():
            _fetch(home)
    return home


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "openclaw-x"


def _fetch(home: Path) -> None:
    """Fetch beside the final place and rename, so that a broken fetch leaves nothing that looks whole."""
    if not shutil.which("mvn"):
        raise AbsentError("no `mvn` on the path to fetch the broker's jars with")
    with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
        libs = Path(scratch) / "libs"
        command = ["mvn", "-q", "-B", "-f", str(POM), COPY, f"-DoutputDirectory={libs}", "-DincludeScope=runtime"]
        try:
            subprocess.run(
                command, check=True, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, stdin=subprocess.DEVNULL
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            words = error.stdout if isinstance(error.stdout, str) else ""
            raise AbsentError(f"Maven could not fetch the broker's jars: {error} {words[-2000:]}") from error
        libs.rename(home)
