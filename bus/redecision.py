"""One decision taken again, as a session would have taken it: the facts that today's code concludes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

from bus.blob_cache import CACHE_BYTES_MAX, BlobReader
from bus.channel import Partition
from bus.codec import Codec
from bus.decider import DECISION_BYTES_MAX, DECISION_RECORDS_MAX, Draft, Role
from bus.decision import Said
from bus.errors import BlobMissing, RecordTooLarge
from bus.log import RECORD_BYTES_MAX, size
from bus.memory import Recall, Recalled
from bus.quarantine import undecided, undecodable
from bus.recall import Recaller
from bus.record import DeadlineReached, Envelope, Fact, Origin, derive_id, derive_trace
from bus.stored_input import Input


class StoredBlobs:
    """Contents by digest for a replay: those that are wanted again and again are kept."""

    def __init__(self, blobs: BlobReader) -> None:
        self._blobs = blobs
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    async def load(self, digests: Iterable[str]) -> dict[str, bytes | None]:
        """Each content, None where the store has none."""
        return {digest: await self._get(digest) for digest in digests}

    async def _get(self, digest: str) -> bytes | None:
        if digest not in self._kept:
            try:
                self._kept[digest] = content = await self._blobs.get(digest)
            except BlobMissing:
                return None
            self._bytes += len(content)
        self._kept.move_to_end(digest)
        while self._bytes > CACHE_BYTES_MAX and len(self._kept) > 1:
            self._bytes -= len(self._kept.popitem(last=False)[1])
        return self._kept[digest]


class Redecision:
    """Decides for one role. `lacking` are the digests of the last decision that the store has no content for."""

    def __init__(
        self, role: Role[Any], home: Partition, codec: Codec, blobs: StoredBlobs, recaller: Recaller | None = None
    ) -> None:
        self._role, self._home, self._codec, self._blobs = role, home, codec, blobs
        self._recaller = recaller
        self._last: tuple[Recall, Recalled] | None = None  # several decisions in a row want the same
        self.lacking: tuple[str, ...] = ()

    async def on_input(self, state: Any, each: Input, now_ms: int) -> tuple[Said, ...]:
        """What follows from an input; one that cannot be decoded or decided is quarantined."""
        self.lacking = ()
        if each.envelope is None:
            return self._quarantine_undecodable(each)
        try:
            if each.error is not None:
                raise each.error
            return await self._decide(state, each.envelope, now_ms, str(each.at))
        except Exception as error:  # noqa: BLE001 — as a session does it: recorded, and what comes after it goes on
            what = f"{self._role.name} cannot decide this {type(each.envelope.record).__name__}"
            fact = undecided(each.at, f"{what}: {type(error).__name__}: {error}")
            return self._say([fact], str(each.at), str(each.at), each.envelope.trace, now_ms)

    async def on_deadline(self, state: Any, name: str, at_ms: int, now_ms: int) -> tuple[Said, ...]:
        """What follows from a deadline. Raises what the Decider raises, which would halt the role."""
        record: Any = DeadlineReached(name, at_ms)
        cause_id = f"{name}@{at_ms}"
        envelope = Envelope(record, cause_id, Origin("deadline"), None, at_ms, derive_trace(name))
        return await self._decide(state, envelope, now_ms, f"deadline:{cause_id}")

    async def _decide(self, state: Any, envelope: Envelope, now_ms: int, cause: str) -> tuple[Said, ...]:
        recalled = await self._recall(state, envelope)
        digests = self._role.needs(state, envelope)
        if recalled is not None and self._role.memory is not None:
            digests = (*digests, *self._role.memory.needs(recalled, envelope))
        blobs = await self._blobs.load(digests) if digests else {}
        self.lacking = tuple(digest for digest, content in blobs.items() if content is None)
        draft = Draft(self._role, state, envelope.id, now_ms, blobs, recalled)
        self._role.decide(draft, envelope)
        if len(draft.facts) > DECISION_RECORDS_MAX:
            raise RecordTooLarge(f"a decision of {len(draft.facts)} facts is over the limit of {DECISION_RECORDS_MAX}")
        return self._say(draft.facts, envelope.id, cause, envelope.trace, now_ms)

    async def _recall(self, state: Any, envelope: Envelope) -> Recalled | None:
        wanted = self._role.memory.wants(state, envelope) if self._role.memory else None
        if wanted is None or self._recaller is None:
            return None
        if self._last is None or self._last[0] != wanted:
            self._last = wanted, await self._recaller.load(self._role, self._home, wanted)
        return self._last[1]

    def _quarantine_undecodable(self, each: Input) -> tuple[Said, ...]:
        at = str(each.at)
        return self._say([undecodable(each.at, each.stored, each.error)], at, at, derive_trace(at), 0)

    def _say(self, facts: Sequence[Fact], cause_id: str, cause: str, trace: str, now_ms: int) -> tuple[Said, ...]:
        """The facts with their ids and bytes; raises RecordTooLarge as an outbox does."""
        said, total, parts = [], 0, len(facts)
        for part, fact in enumerate(facts):
            fact_id = derive_id(self._role.name, cause_id, part)
            origin = Origin("fact", self._role.name, "0" * 16, 1, part, part, parts, cause)
            raw = self._codec.encode(fact, record_id=fact_id, origin=origin, time_ms=now_ms, trace=trace)
            total += (length := size(raw))
            if length > RECORD_BYTES_MAX or total > DECISION_BYTES_MAX:
                raise RecordTooLarge(f"a {type(fact).__name__} of {length} bytes, {total} with those before it")
            said.append(Said(fact_id, fact, trace, raw.key, raw.value))
        return tuple(said)
