"""The warm pools of a system as its records show them."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping

from bus.record import Envelope, Record
from services.records.event import WarmPoolSet

POOLED: tuple[type[Record], ...] = (WarmPoolSet,)
"""What warm pools are folded from."""


def apply(found: MutableMapping[tuple[str, str], WarmPoolSet], envelope: Envelope) -> None:
    """Take one record in."""
    record: WarmPoolSet = envelope.record
    found[record.workspace_id, record.profession] = record


def fold_warm_pools(envelopes: Iterable[Envelope]) -> dict[tuple[str, str], WarmPoolSet]:
    """The newest word on each, by workspace and profession."""
    found: dict[tuple[str, str], WarmPoolSet] = {}
    for envelope in envelopes:
        apply(found, envelope)
    return found


def describe(pool: WarmPoolSet) -> dict[str, object]:
    """One line of `pools list --json`."""
    return {
        "workspace_id": pool.workspace_id,
        "profession": pool.profession,
        "min": pool.least,
        "max": pool.most,
        "idle_s": pool.idle_ms / 1000,
        "agent": pool.agent,
        "driver": pool.driver,
        "pool": pool.pool,
    }
