"""Fixtures that give tests a real Kafka broker, a real PostgreSQL, and a namespace of their own."""

import secrets
from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.brokers.absence import AbsentError
from tests.brokers.kafka_secured import Secured
from tests.brokers.kafka_source import KafkaBroker, KafkaSource
from tests.brokers.postgres_source import postgres_url


@pytest.fixture
def namespace() -> str:
    """A name that no other test and no earlier run has used; fit for topics and databases."""
    return f"test{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of a broker that all tests share; keep to your `namespace` on it, and leave it whole."""
    source = KafkaSource(lambda: tmp_path_factory.mktemp("kafka"))
    try:
        yield source.shared()
    except AbsentError as reason:
        pytest.skip(f"no Kafka broker: {reason}")
    finally:
        source.close()


@pytest.fixture(scope="session")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A broker that requires TLS and SASL; tests share it, each in its `namespace`."""
    source = KafkaSource(lambda: tmp_path_factory.mktemp("kafka"))
    try:
        yield source.secured()
    except AbsentError as reason:
        pytest.skip(f"no secured Kafka broker: {reason}")
    finally:
        source.close()


@pytest.fixture
def kafka_broker(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], KafkaBroker]]:
    """Start brokers of the test's own, to kill, pause and restart; all are ended with the test."""
    source = KafkaSource(lambda: tmp_path_factory.mktemp("kafka"))

    def start() -> KafkaBroker:
        try:
            return source.broker()
        except AbsentError as reason:
            pytest.skip(f"no Kafka broker of its own: {reason}")

    yield start
    source.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server as libpq reads it (`postgresql://…`); tests share it."""
    try:
        with postgres_url() as url:
            yield url
    except AbsentError as reason:
        pytest.skip(f"no PostgreSQL: {reason}")


@pytest.fixture
def database(postgres: str, namespace: str) -> Iterator[str]:
    """The address of an empty database of the test's own."""
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{namespace}"')
        yield postgres.rsplit("/", 1)[0] + f"/{namespace}"
        server.execute(f'DROP DATABASE "{namespace}" WITH (FORCE)')
