"""A 429 slows all that call with the same key, and kills nothing."""

from __future__ import annotations

import importlib.util
import threading
import time
from pathlib import Path

import pytest

from services.factory.rate_bucket import INTERVAL_MS_FIRST, CallQuota, RateBucket
from services.records.content import Resources
from services.records.task import TaskCompleted, TaskFailed
from tests.eventually import eventually
from tests.services.factory.agents.endpoint import Act, Request, call, refuse, say, serving
from tests.services.factory.world import World


def test_calls_go_at_once_until_the_provider_refuses_one() -> None:
    bucket = RateBucket()
    assert [bucket.take(0) for _ in range(3)] == [0, 0, 0]
    bucket.refuse(10, went_ms=0, pause_ms=1_000)
    assert [bucket.take(20) for _ in range(3)] == [1_010, 1_010 + INTERVAL_MS_FIRST, 1_010 + 2 * INTERVAL_MS_FIRST]


def test_refusals_of_calls_that_had_gone_before_slow_it_once() -> None:
    bucket = RateBucket()
    for late in range(50):
        bucket.refuse(10 + late, went_ms=5, pause_ms=100)
    assert bucket.interval_ms == INTERVAL_MS_FIRST
    assert bucket.take(0) == 159
    bucket.refuse(200, went_ms=159, pause_ms=0)
    assert bucket.interval_ms == 2 * INTERVAL_MS_FIRST


def test_good_answers_quicken_it_again() -> None:
    bucket = RateBucket()
    bucket.refuse(0, went_ms=0, pause_ms=0)
    for _ in range(30):
        bucket.accept()
    assert bucket.interval_ms == 0
    assert bucket.take(1_000) == bucket.take(1_000) == 1_000


def test_an_instance_makes_no_more_calls_in_any_minute_than_its_quota() -> None:
    quota = CallQuota(most=3)
    went = [quota.take(now) for now in (0, 10, 20, 30, 40, 60_050, 60_060)]
    assert went == [0, 10, 20, 60_000, 60_010, 60_050, 120_000]
    for at in went:
        assert sum(at <= other < at + 60_000 for other in went) <= 3


class Strict:
    """Answers so many calls in a window, and refuses the rest."""

    def __init__(self, most: int, window_s: float) -> None:
        self._most, self._window_s = most, window_s
        self._went: list[float] = []
        self.refused = 0
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Act:
        with self._lock:
            now = time.monotonic()
            self._went = [at for at in self._went if at > now - self._window_s]
            if len(self._went) >= self._most:
                self.refused += 1
                return refuse(429, "slow down", Retry_After="0.5")
            self._went.append(now)
            return say("done")


@pytest.mark.skipif(importlib.util.find_spec("openai") is None, reason="the extra `model` is not installed")
async def test_a_fleet_that_is_refused_waits_together_and_all_of_it_succeeds(tmp_path: Path) -> None:
    async with World.open(tmp_path) as world, world.node():
        orders = [await world.start(f"i{number}", agent="model") for number in range(3)]
        with serving() as endpoint:
            endpoint.otherwise = strict = Strict(2, 0.5)
            parameters = {"model": "m", "base_url": endpoint.url}
            assigned = [
                await world.assign(order, attempt_id=f"a{order.instance_id}{number}", parameters=parameters)
                for order in orders
                for number in range(3)
            ]
            ends = [await world.end_of(each, timeout_s=60) for each in assigned]
        assert all(isinstance(each, TaskCompleted) for each in ends), ends
        assert strict.refused > 0, "the provider had to refuse"
        assert len(endpoint.requests) == 9 + strict.refused


@pytest.mark.skipif(importlib.util.find_spec("openai") is None, reason="the extra `model` is not installed")
async def test_a_model_waits_for_the_quota_of_its_instance(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="services")
    look = ("list_files", "{}")
    async with World.open(tmp_path) as world, world.node():
        order = await world.start(agent="model", resources=Resources(slots=3, api_calls_per_minute=1))
        with serving(call(look)) as endpoint:
            assigned = await world.assign(order, parameters={"model": "m", "base_url": endpoint.url})
            await eventually(
                lambda: any("has made 1 calls in a minute" in each for each in caplog.messages), 60, "the quota is full"
            )
            await world.stop(order)
            end = await world.end_of(assigned)
        assert isinstance(end, TaskFailed)
        assert len(endpoint.requests) == 1
