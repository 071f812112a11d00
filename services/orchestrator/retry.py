"""Whether a failed attempt is tried again, and when."""

from __future__ import annotations

from collections.abc import Mapping

from bus.record import derive_id
from services.definitions.option import Failure, Retry

_FAILURES: Mapping[str, Failure] = {
    "timeout": "timeout",
    "queue_timeout": "timeout",
    "worker_lost": "worker_lost",
    "cancelled": "worker_lost",  # by somebody else than the run
}


def kind_of(code: str) -> Failure:
    """What a definition calls a failure that a report gives this code."""
    return _FAILURES.get(code, "error")


def retry_at(retry: Retry, code: str, attempt: int, attempt_id: str, now_ms: int) -> int:
    """When to try again after this attempt, or 0 for not at all. The jitter depends on the attempt's id alone."""
    if code == "budget":  # it would be refused again
        return 0
    if attempt >= retry.max_attempts or kind_of(code) not in retry.on:
        return 0
    wait_ms = min(float(retry.backoff_max_ms), retry.backoff_ms * retry.factor ** min(attempt - 1, 64))
    share = int(derive_id("jitter", attempt_id)[:8], 16) / 0xFFFF_FFFF
    return now_ms + max(1, round(wait_ms * (1 + retry.jitter * (2 * share - 1))))
