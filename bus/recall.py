"""Recalls an aggregate from the log, for decisions that go back to an earlier point of it."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Any

from bus.channel import Partition
from bus.codec import Codec, Peek
from bus.decider import Role
from bus.errors import Fatal, Undecodable
from bus.home_fold import chunks_until, said_by
from bus.log import Log, Stored
from bus.memory import Recall, Recalled, Recollection
from bus.reader import Admission
from bus.record import Fact, Heard, InputQuarantined

logger = logging.getLogger(__name__)

KEPT_MAX = 16
"""Most recalled aggregates that are kept at hand; each is wanted by a few decisions in a row."""

RETRY_MS = 100


async def recall(log: Log, codec: Codec, role: Role[Any], home: Partition, wanted: Recall) -> Recalled:
    """Fold it from the log; its costs are those of reading home once. Raises Fatal for a fact that cannot be read."""
    recollection = Recollection(role, wanted)
    async for facts, first, last, time_ms in _decisions(log, codec, role.name, home, wanted):
        if not recollection.take(facts, first, last, time_ms):
            break
    return recollection.found


async def _decisions(
    log: Log, codec: Codec, role: str, home: Partition, wanted: Recall
) -> AsyncIterator[tuple[list[Fact], int, int, int]]:
    """The decisions of a role: their facts, of which only those that name the aggregate are decoded, and offsets."""
    admission, name = Admission(codec), wanted.aggregate.encode()
    facts: list[Fact] = []
    first = 0
    async for chunk in chunks_until(log, home, 0, wanted.before):
        for stored, peek, counts in admission.admit(said_by(role, chunk)):
            if not counts or isinstance(peek, Undecodable) or peek.origin.kind != "fact" or peek.origin.role != role:
                continue
            if peek.origin.part == 0:
                facts, first = [], stored.offset
            if name in stored.value and (fact := _read(codec, stored, peek, home)):
                facts.append(fact)
            if peek.origin.part + 1 == peek.origin.parts:
                yield facts, first, stored.offset, stored.time_ms


def _read(codec: Codec, stored: Stored, peek: Peek, home: Partition) -> Fact | None:
    try:
        fact: Fact = codec.decode(stored, peek, home).record
    except Undecodable as error:
        raise Fatal(f"{peek.origin.role} cannot read its own fact at {home}/{stored.offset}: {error}") from error
    return None if isinstance(fact, Heard | InputQuarantined) else fact


class Recaller:
    """`now` gives what is wanted at once, or starts to recall it and calls `loaded` when it is there."""

    def __init__(self, log: Log, codec: Codec, loaded: Callable[[], None] = lambda: None) -> None:
        self._log, self._codec, self._loaded = log, codec, loaded
        self._kept: OrderedDict[tuple[str, Partition, Recall], Recalled | Exception] = OrderedDict()
        self._tasks: dict[tuple[str, Partition, Recall], asyncio.Task[None]] = {}

    def now(self, role: Role[Any], home: Partition, wanted: Recall) -> Recalled | None:
        """None while it is being recalled; raises what makes that impossible."""
        key = (role.name, home, wanted)
        found = self._kept.get(key)
        if found is None:
            if key not in self._tasks:
                task = self._recall(role, home, wanted)
                self._tasks[key] = asyncio.get_running_loop().create_task(task, name=f"recall {wanted}")
            return None
        self._kept.move_to_end(key)
        if isinstance(found, Exception):
            raise found
        return found

    async def load(self, role: Role[Any], home: Partition, wanted: Recall) -> Recalled:
        """The same for whoever can wait."""
        return await recall(self._log, self._codec, role, home, wanted)

    async def _recall(self, role: Role[Any], home: Partition, wanted: Recall) -> None:
        key = (role.name, home, wanted)
        while key not in self._kept:
            try:
                self._kept[key] = await recall(self._log, self._codec, role, home, wanted)
            except Fatal as error:
                self._kept[key] = error
            except Exception as error:  # noqa: BLE001 — of whatever kind: its input waits, and this says for what
                logger.warning("%s cannot recall %s yet: %r", role.name, wanted, error)
                await asyncio.sleep(RETRY_MS / 1000)
        del self._tasks[key]
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        self._loaded()

    async def close(self) -> None:
        """Stop recalling."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
