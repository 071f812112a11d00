"""Tells whether a container engine answers on this machine."""

import functools
import gc
import warnings

import docker
from docker.errors import DockerException

from tests.brokers.absence import AbsentError


def require_engine() -> None:
    """Raise AbsentError where no container engine answers; asked once a session."""
    reason = _silence()
    if reason:
        raise AbsentError(reason)


@functools.cache
def _silence() -> str:
    """Return why no engine answers, or nothing where one does."""
    try:
        client = docker.from_env(timeout=5)
        client.close()
    except (DockerException, OSError) as error:
        reason = f"no container engine answers ({error})"
    else:
        return ""
    _drop_sockets()
    return reason


def _drop_sockets() -> None:
    """Collect the socket that the client leaves open when it fails, before a test is blamed for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
