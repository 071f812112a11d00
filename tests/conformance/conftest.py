"""Gives each test of the suite a log on every medium."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bus.log import Log
from tests.conformance.media import KafkaMedium, Medium, SqliteMedium


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def medium(request: pytest.FixtureRequest, tmp_path: Path, namespace: str) -> Medium:
    if request.param == "sqlite":
        return SqliteMedium(tmp_path)
    return KafkaMedium(request.getfixturevalue("kafka"), namespace)


@pytest_asyncio.fixture
async def log(medium: Medium) -> AsyncIterator[Log]:
    log = await medium.open()
    yield log
    await log.close()
