"""All views of the gateway, and waiting for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from bus.channel import STATE_CHANNELS, Partition, Position
from bus.codec import Codec
from bus.errors import Refused
from bus.log import Log
from services.gateway.views.alarms import AlarmView
from services.gateway.views.answers import AnswerView
from services.gateway.views.budgets import BudgetView
from services.gateway.views.cases import CaseView
from services.gateway.views.follower import Follower
from services.gateway.views.instances import InstanceView
from services.gateway.views.keys import KeyView
from services.gateway.views.messages import MessageView
from services.gateway.views.nodes import NodeView
from services.gateway.views.professions import ProfessionView
from services.gateway.views.reviews import ReviewView
from services.gateway.views.runs import RunView
from services.gateway.views.schedules import ScheduleView
from services.gateway.views.tasks import TaskView
from services.gateway.views.warm_pools import WarmPoolView
from services.records import LANGUAGE


class Reading:
    """The views, live. Made by `open_reading`."""

    def __init__(self, log: Log, codec: Codec) -> None:
        self._log = log
        self.instances, self.runs, self.reviews, self.tasks = InstanceView(), RunView(), ReviewView(), TaskView()
        self.nodes, self.alarms, self.professions = NodeView(), AlarmView(), ProfessionView()
        self.keys, self.cases, self.budgets, self.messages = KeyView(), CaseView(), BudgetView(), MessageView()
        self.warm_pools, self.schedules = WarmPoolView(), ScheduleView()
        self.answers = AnswerView(LANGUAGE)
        views = (
            *(self.instances, self.runs, self.reviews, self.tasks, self.nodes, self.alarms),
            *(self.professions, self.keys, self.cases, self.budgets, self.messages, self.warm_pools),
            *(self.schedules, self.answers),
        )
        self.followers = {channel: Follower(log, codec, channel, views) for channel in STATE_CHANNELS}

    async def caught_up(self) -> None:
        """Wait until the views show all that stood on the log at the call."""
        partitions = [Partition(channel, n) for channel in STATE_CHANNELS for n in range(self._log.partitions)]
        ends = await self._log.ends(partitions)
        await self.passed([Position(*each, end - 1) for each, end in ends.items() if end])

    async def passed(self, positions: Iterable[Position], wait_s: float | None = None) -> None:
        """Wait until the views show what stands at these positions; raises TimeoutError, Refused or Unavailable."""
        async with asyncio.timeout(wait_s):
            for at in positions:
                follower = self.followers[at.channel]
                while not follower.has_passed(at):
                    await follower.moved()

    async def require(self, positions: Iterable[Position]) -> None:
        """Raises Refused for a position where nothing stands."""
        for at in positions:
            partition = Partition(at.channel, at.number)
            if at.channel not in self.followers or not 0 <= at.number < self._log.partitions or at.offset < 0:
                raise Refused(f"{at} is no position of this system")
            if (
                not self.followers[at.channel].has_passed(at)
                and at.offset >= (await self._log.ends([partition]))[partition]
            ):
                raise Refused(f"nothing stands at {at} yet")

    async def until(self, channel: str, holds: Callable[[], bool], wait_s: float) -> bool:
        """Wait until the views of a channel show something, for so long at most; tells whether they do."""
        try:
            async with asyncio.timeout(wait_s):
                while not holds():
                    await self.followers[channel].moved()
        except TimeoutError:
            return holds()
        return True


@asynccontextmanager
async def open_reading(log: Log, codec: Codec) -> AsyncIterator[Reading]:
    """The views, kept up to date until left."""
    reading = Reading(log, codec)
    following = [
        asyncio.create_task(follower.run(), name=f"view-{channel}") for channel, follower in reading.followers.items()
    ]
    try:
        yield reading
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
