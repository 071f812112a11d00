"""What system tests share: the exported schemas, and systems on Kafka of a test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cli.schemas import write_schemas
from tests.system.fleet import Fleet, fleet
from tests.system.raw_log import Schema, read_schemas

TEST_S_MAX = 900
"""A bound for machines under load; on quiet ones no test here takes a tenth of it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give these tests the time that real processes may take."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(TEST_S_MAX))


@pytest.fixture(scope="session")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Schema]:
    """The schemas as they are exported for others, by the name of their type."""
    root = tmp_path_factory.mktemp("schemas")
    assert list(write_schemas(root))
    return read_schemas(root)


@pytest.fixture
def system(kafka: str, namespace: str, tmp_path: Path) -> Iterator[Fleet]:
    """Five services on Kafka, each a process of its own."""
    with fleet(f"kafka://{kafka}", namespace, tmp_path / "system") as found:
        yield found


@pytest.fixture
def embedded(namespace: str, tmp_path: Path) -> Iterator[Fleet]:
    """An embedded system that does not run yet."""
    with fleet("", namespace, tmp_path / "system", started=False) as found:
        yield found
