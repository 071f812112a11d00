"""Decides where the PostgreSQL of the tests comes from: a given one, a container engine, or installed binaries."""

import contextlib
import os
from collections.abc import Iterator

from docker.errors import DockerException
from testcontainers.community.postgres import PostgresContainer

from tests.brokers.absence import AbsentError, first_present
from tests.brokers.engine import require_engine
from tests.brokers.postgres_server import PostgresServer

IMAGE = "postgres:17"


@contextlib.contextmanager
def postgres_url() -> Iterator[str]:
    """Give the address of a server, as libpq reads it, for as long as the block runs."""
    with contextlib.ExitStack() as stack:
        given = os.environ.get("CLAWX_TEST_DATABASE_URL")
        yield given or first_present([("container", lambda: _container(stack)), ("binaries", lambda: _server(stack))])


def _container(stack: contextlib.ExitStack) -> str:
    require_engine()
    container = PostgresContainer(IMAGE, driver=None)
    try:
        stack.enter_context(container)
    except (DockerException, OSError) as error:
        raise AbsentError(f"{IMAGE} does not start: {error}") from error
    return str(container.get_connection_url())


def _server(stack: contextlib.ExitStack) -> str:
    server = PostgresServer()
    stack.callback(server.remove)
    server.start()
    return server.url
