"""Follows the state channels live, counts what stands there, and tells of each record that does not count."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence

from bus.channel import STATE_CHANNELS, Partition
from bus.codec import Codec
from bus.errors import Retryable
from bus.log import Log, Stored
from services.audit.notary import Notary
from services.audit.sequence import Sequence as FactSequence

logger = logging.getLogger(__name__)

COUNTS_S = 60.0
"""How often the counts are told."""

CHECKPOINT_S = 600.0
"""How often what stands in the log is signed, if there is somebody to sign."""

_RETRY_S = 1.0

Records = Sequence[Stored]


class Vigil:
    """All partitions of all state channels, from their starts on. A notary signs what was checked."""

    def __init__(self, log: Log, codec: Codec, notary: Notary | None = None) -> None:
        self._log, self._notary = log, notary
        self.sequences = {
            Partition(channel, number): FactSequence(Partition(channel, number), codec)
            for channel in STATE_CHANNELS
            for number in range(log.partitions)
        }
        self.findings = 0
        self.caught_up = asyncio.Event()  # all that stood there at the beginning has been checked

    async def run(self) -> None:
        """For ever, or until it is cancelled."""
        ends = {partition: end for partition, end in (await self._log.ends(self.sequences)).items() if end}
        async with asyncio.TaskGroup() as group:
            for channel in STATE_CHANNELS:
                group.create_task(self._follow(channel, ends))
            group.create_task(self._tell())
            if self._notary is not None:
                group.create_task(self._sign(self._notary))

    async def _follow(self, channel: str, ends: dict[Partition, int]) -> None:
        mine = [partition for partition in self.sequences if partition.channel == channel]
        reader = await self._log.reader(dict.fromkeys(mine, 0))
        try:
            while True:
                self._note_ends(ends)
                try:
                    chunks = await reader.read()
                except Retryable as error:
                    logger.warning("%s cannot be read yet: %s", channel, error)
                    await asyncio.sleep(_RETRY_S)
                    continue
                for partition, chunk in chunks.items():
                    self._check(partition, chunk)
        finally:
            await reader.close()

    def _check(self, partition: Partition, chunk: Records) -> None:
        for finding in self.sequences[partition].check(chunk):
            self.findings += 1
            logger.warning("%s/%d %s: %s", partition, finding.offset, finding.kind, finding.reason)
        for offset in self._notary.take(partition, chunk) if self._notary else ():
            self.findings += 1
            logger.critical("%s was changed before %d since it was signed; see `clawx log verify`", partition, offset)

    async def _sign(self, notary: Notary) -> None:
        while True:
            await asyncio.sleep(CHECKPOINT_S)
            self.sign(notary)

    def sign(self, notary: Notary) -> None:
        """State what has been checked, unless less of it is here than was signed before."""
        if cut := notary.missing():
            logger.critical("%s ends before what was last signed of it; nothing is signed", cut[0])
        else:
            notary.sign(time.time_ns() // 1_000_000)

    def _note_ends(self, ends: dict[Partition, int]) -> None:
        if all(self.sequences[partition].offset >= end for partition, end in ends.items()):
            self.caught_up.set()

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(COUNTS_S)
            logger.info("%s", "; ".join(f"{channel} {counts}" for channel, counts in self.counts().items()))

    def counts(self) -> dict[str, str]:
        """What stands on each channel, by kind, as text."""
        totals: dict[str, Counter[str]] = {channel: Counter() for channel in STATE_CHANNELS}
        for partition, sequence in self.sequences.items():
            totals[partition.channel] += sequence.counts
        return {
            channel: " ".join(f"{kind}={count}" for kind, count in sorted(counts.items())) or "empty"
            for channel, counts in totals.items()
        }
