"""Delivers alarms to a webhook: at least once, in the order of each partition, from where it was acknowledged on.

The log is the queue: while a receiver does not take an alarm, nothing behind it is read, and nothing piles up here.
"""

from __future__ import annotations

import asyncio
import logging
import random
from pathlib import Path

import aiohttp

from bus.channel import Partition
from bus.clock import Clock
from bus.codec import Codec
from bus.errors import Retryable
from bus.log import Log
from bus.reader import START, FencedReader
from bus.record import Envelope, derive_id
from services.health import acknowledged
from services.health.acknowledged import Acknowledged
from services.health.hook import TYPES, Hook, write_body

logger = logging.getLogger(__name__)

ANSWER_S_MAX = 15.0
BACKOFF_S_MIN = 1.0
BACKOFF_S_MAX = 300.0
"""How long is waited between attempts: the first time, and at most after doubling."""

SAVE_S = 10.0
"""How often places without alarms are saved; what is read again for lack of it is delivered to nobody."""

RETRY_S = 0.5


class Webhook:
    """One hook. `run` until it is cancelled or fails."""

    def __init__(self, log: Log, codec: Codec, clock: Clock, hook: Hook, directory: Path) -> None:
        self._log, self._codec, self._clock, self._hook = log, codec, clock, hook
        self._path = directory / f"{derive_id(log.namespace, hook.url)}.json"
        self._acknowledged: Acknowledged | None = None
        self._saved: Acknowledged | None = None
        self._saved_s = 0.0

    async def run(self) -> None:
        """Deliver for ever."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_S_MAX)
        connector = aiohttp.TCPConnector(force_close=True)  # alarms are rare: an idle connection would be found broken
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(timeout=timeout, connector=connector, cookie_jar=jar) as http:
            while True:
                try:
                    await self._follow(http)
                except Retryable as error:
                    logger.warning("alarms for %s cannot be followed; trying again: %s", self._hook.origin, error)
                await asyncio.sleep(RETRY_S)

    async def _follow(self, http: aiohttp.ClientSession) -> None:
        known = await self._resume()
        reader = await FencedReader.open(self._log, self._codec, known.places(), list(TYPES))
        try:
            while True:
                for alarm in await reader.read():
                    if alarm.origin.kind == "fact" and alarm.id not in known.ids:
                        await self._deliver(http, alarm)
                        known = known.extend(alarm.id)
                        self._save(known)
                known = self._pass(Acknowledged.until(reader.places()))
        finally:
            await reader.close()

    async def _resume(self) -> Acknowledged:
        """What is acknowledged; on first use, and in a log made anew, all that stands there by now."""
        known = self._acknowledged or acknowledged.load(self._path)
        partitions = [Partition("event", number) for number in range(self._log.partitions)]
        ends = await self._log.ends(partitions)
        if known is not None:
            places = known.places()
            if places.keys() == ends.keys() and all(places[each].offset <= ends[each] for each in partitions):
                self._acknowledged = known
                return known
            logger.warning("%s belongs to another log; %s gets the alarms from now on", self._path, self._hook.origin)
        reader = await FencedReader.open(self._log, self._codec, dict.fromkeys(partitions, START), [])
        try:
            while any(reader.places()[partition].offset < end for partition, end in ends.items()):
                await reader.read()
            known = Acknowledged.until(reader.places())
        finally:
            await reader.close()
        self._save(known)
        return known

    def _pass(self, read: Acknowledged) -> Acknowledged:
        """What is read is delivered; that is saved now and then."""
        self._acknowledged = read
        if read != self._saved and asyncio.get_running_loop().time() - self._saved_s >= SAVE_S:
            self._save(read)
        return read

    def _save(self, known: Acknowledged) -> None:
        self._acknowledged = known  # even if it cannot be saved, nothing is repeated while this process lives
        acknowledged.save(self._path, known)
        self._saved, self._saved_s = known, asyncio.get_running_loop().time()

    async def _deliver(self, http: aiohttp.ClientSession, alarm: Envelope) -> None:
        """Until it is acknowledged; what is wrong is told once."""
        body, pause_s, failed = write_body(alarm), BACKOFF_S_MIN, ""
        while why := await self._attempt(http, alarm.id, body):
            if not failed:
                logger.warning("%s does not take alarms, each is tried until it does: %s", self._hook.origin, why)
            failed = why
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))
            pause_s = min(2 * pause_s, BACKOFF_S_MAX)
        if failed:
            logger.info("%s takes alarms again", self._hook.origin)

    async def _attempt(self, http: aiohttp.ClientSession, webhook_id: str, body: bytes) -> str:
        """Why it failed; empty if it was acknowledged."""
        headers = self._hook.headers(webhook_id, self._clock.now_ms() // 1000, body)
        try:
            async with http.post(self._hook.url, data=body, headers=headers, allow_redirects=False) as response:
                return "" if 200 <= response.status < 300 else f"it answered {response.status}"
        except TimeoutError:
            return f"no answer within {ANSWER_S_MAX:g} s"
        except (aiohttp.ClientError, OSError) as error:  # of which not all may be shown: some tell the URL
            return str(error) if isinstance(error, OSError) else type(error).__name__

    async def close(self) -> None:
        """Nothing is open once `run` has ended."""
