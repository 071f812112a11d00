"""Idempotency keys: which answer a key got, so that who asks again with it gets the same one."""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

from immutables import Map

from services.records.task import RunForkRequested, RunRequested

IDEMPOTENCY_TTL_MS = 7 * 24 * 3600 * 1000
"""How long a key is kept at least, unless there are too many."""

KEYS_MAX = 100_000
"""Most keys that are kept on one partition; the oldest are forgotten above it."""

KEY_CHARS_MAX = 200
"""Longest key."""


class Answer(NamedTuple):
    """What the first ask with a key said, as a digest, and what it led to: a run, or a refusal with its reason."""

    run_id: str
    body: str
    reason: str = ""


class _Entry(NamedTuple):
    number: int
    answer: Answer


class Keys(NamedTuple):
    """A persistent map of keys that forgets the oldest ones, step by step as it grows."""

    entries: Map[str, _Entry] = Map()
    arrivals: Map[int, tuple[int, str]] = Map()  # by number: when, and which
    oldest: int = 0
    next: int = 0

    def find(self, workspace_id: str, key: str, time_ms: int) -> Answer | None:
        """What the key led to, unless that is too long ago."""
        entry = self.entries.get(_name(workspace_id, key))
        if entry is None or time_ms - self.arrivals[entry.number][0] > IDEMPOTENCY_TTL_MS:
            return None
        return entry.answer

    def add(self, workspace_id: str, key: str, answer: Answer, time_ms: int) -> Keys:
        """With this answer, as of this time."""
        name = _name(workspace_id, key)
        kept = self.forget(time_ms).forget(time_ms)
        return kept._replace(
            entries=kept.entries.set(name, _Entry(kept.next, answer)),
            arrivals=kept.arrivals.set(kept.next, (time_ms, name)),
            next=kept.next + 1,
        )

    def forget(self, time_ms: int) -> Keys:
        """Without the oldest arrival, if it is old enough by this time or there are too many."""
        arrival = self.arrivals.get(self.oldest)
        if arrival is None or (time_ms - arrival[0] <= IDEMPOTENCY_TTL_MS and len(self.arrivals) < KEYS_MAX):
            return self
        entry = self.entries.get(arrival[1])
        is_newest = entry is not None and entry.number == self.oldest
        return self._replace(
            entries=self.entries.delete(arrival[1]) if is_newest else self.entries,
            arrivals=self.arrivals.delete(self.oldest),
            oldest=self.oldest + 1,
        )


def body_of(asked: RunRequested | RunForkRequested) -> str:
    """The digest of what an ask for a run asks for, whoever asks and under whichever key."""
    value = asked.model_dump(mode="json", exclude={"actor", "actor_roles", "actor_scopes", "idempotency_key"})
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _name(workspace_id: str, key: str) -> str:
    return json.dumps([workspace_id, key])
