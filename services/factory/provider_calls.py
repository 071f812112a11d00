"""The calls of all workers of a node to providers: one bucket for each provider and key, whoever asks."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bus.clock import Clock
from services.factory.rate_bucket import CallQuota, RateBucket

logger = logging.getLogger(__name__)

BUCKETS_MAX = 1_000
"""The oldest are forgotten beyond it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls for an attempt: its instance, that one's calls a minute (0 for any), and the reference of the key that
    it calls with, never its value."""

    instance_id: str = ""
    calls_a_minute: int = 0
    key: str = ""


class ProviderCalls:
    """`caller_of` says for whom an attempt calls; `allowed` returns when its budget lets it call."""

    def __init__(
        self, clock: Clock, caller_of: Callable[[str], Caller], allowed: Callable[[str], Awaitable[None]] | None = None
    ) -> None:
        self._clock, self._caller_of, self._allowed = clock, caller_of, allowed
        self._buckets: dict[tuple[str, str], RateBucket] = {}
        self._quotas: dict[str, CallQuota] = {}
        self._went: dict[tuple[str, str], float] = {}

    async def admit(self, attempt_id: str, provider: str) -> None:
        """Return when a call of this attempt may go. A refusal meanwhile holds back those that wait too."""
        if self._allowed:
            await self._allowed(attempt_id)
        await self._keep_quota(self._caller_of(attempt_id))
        bucket = self._bucket(attempt_id, provider)
        at = bucket.take(self._now())
        while (wait := at - self._now()) > 0:
            refusals = bucket.refusals
            await asyncio.sleep(wait / 1000)
            if bucket.refusals != refusals:
                at = bucket.take(self._now())
        self._went[attempt_id, provider] = self._now()

    async def _keep_quota(self, caller: Caller) -> None:
        """Return when the instance may make one more call."""
        if caller.calls_a_minute:
            quota = self._quotas.setdefault(caller.instance_id, CallQuota(most=caller.calls_a_minute))
            if (wait := quota.take(self._now()) - self._now()) > 0:
                logger.info("instance %s has made %d calls in a minute", caller.instance_id, caller.calls_a_minute)
                await asyncio.sleep(wait / 1000)

    def forget(self, instance_id: str) -> None:
        """The instance is gone from this node."""
        self._quotas.pop(instance_id, None)

    def answered(self, attempt_id: str, provider: str, limited_ms: int | None) -> None:
        """A call has ended; `limited_ms` where the provider refused it."""
        bucket = self._bucket(attempt_id, provider)
        went = self._went.pop((attempt_id, provider), 0.0)
        if limited_ms is None:
            bucket.accept()
            return
        bucket.refuse(self._now(), went, limited_ms)
        words = "provider %s wants fewer calls: none for %d ms, then one every %d ms"
        logger.warning(words, provider, limited_ms, bucket.interval_ms)

    def _bucket(self, attempt_id: str, provider: str) -> RateBucket:
        key = provider, self._caller_of(attempt_id).key
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= BUCKETS_MAX:
                del self._buckets[next(iter(self._buckets))]
            bucket = self._buckets[key] = RateBucket()
        return bucket

    def _now(self) -> float:
        return self._clock.now_ms()
