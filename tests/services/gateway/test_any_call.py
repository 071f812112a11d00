"""Whatever is sent, the gateway does not fail, says what it says it says, and lets nobody in without a key."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_schema_conformance,
    status_code_conformance,
)

from tests.tidy.source_tree import ROOT

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    ignored_auth,
]
ENDLESS, LIVE = "/api/v1/streams/records", "/api/v1/records"
CALL_S_MAX = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """The API as its document describes it."""

    schema: Any
    key: str
    operations: tuple[Any, ...]


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Called]:
    directory = tmp_path_factory.mktemp("api")
    command = [sys.executable, "-m", "tests.services.gateway.api_program", str(directory)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdin
        said = json.loads(process.stdout.readline())
        headers = {"Authorization": f"Bearer {said['key']}"}
        document = requests.get(f"{said['url']}/api/v1/openapi.json", headers=headers, timeout=CALL_S_MAX).json()
        schema = schemathesis.openapi.from_dict(document)
        schema.config.update(base_url=said["url"])
        operations = tuple(each.ok() for each in schema.get_all_operations() if each.ok().path != ENDLESS)
        yield Called(schema=schema, key=said["key"], operations=operations)
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def test_any_call_is_answered_as_the_document_says(called: Called) -> None:
    statuses = _call_each(called, examples=6)
    assert statuses.total() >= 200
    assert {200, 201, 404, 422} <= set(statuses), statuses


@pytest.mark.soak
def test_any_of_very_many_calls_is_answered_as_the_document_says(called: Called) -> None:
    examples = 20_000 // (2 * len(called.operations)) + 1
    statuses = _call_each(called, examples)
    while statuses.total() < 20_000:  # operations without parameters have few cases
        statuses += _call_each(called, examples)


def _call_each(called: Called, examples: int) -> Counter[int]:
    """Call every operation with so many cases that fit the document, and as many that do not."""
    statuses: Counter[int] = Counter()
    for operation in called.operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            _call(called, operation.as_strategy(generation_mode=mode), examples, statuses)
    return statuses


def _call(called: Called, cases: Any, examples: int, statuses: Counter[int]) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def call(case: Any) -> None:
        if case.operation.path == LIVE:
            case.query = {**(case.query or {}), "live": False}
        headers = {"Authorization": f"Bearer {called.key}"}
        response = case.call_and_validate(headers=headers, checks=CHECKS, timeout=CALL_S_MAX)
        statuses[response.status_code] += 1

    with suppress(Unsatisfiable):  # nothing that could be wrong with it
        call()
