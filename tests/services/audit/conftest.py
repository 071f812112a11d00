"""Logs to audit."""

import pytest

from tests.services.audit.recorded import Recorded, record
from tests.services.cli.conftest import clawx, data

__all__ = ["clawx", "data"]


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Three runs of the whole system; whoever changes it copies it first."""
    return record(tmp_path_factory.mktemp("recorded"))
