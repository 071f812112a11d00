"""The audit as a service: it checks and signs what is said, and keeps it as tables; it hosts no role."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bus.codec import Codec
from bus.errors import Refused
from bus.log import Log
from services.audit.checkpoint import AnchorInvalid
from services.audit.notary import Notary
from services.audit.signing_key import ProofMissing
from services.audit.vigil import Vigil

if TYPE_CHECKING:
    from services.audit.following import Follower

logger = logging.getLogger(__name__)


class Office:
    """Follows a log. `database` is the URL of the read model; without one there is none."""

    def __init__(self, log: Log, codec: Codec, *, data: Path, database: str = "") -> None:
        self._notary = _notary(log, data)
        self.vigil = Vigil(log, codec, self._notary)
        self.follower = _follower(log, codec, database) if database else None

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[Callable[[], Coroutine[Any, Any, str]]]:
        """Work until left; gives a function that waits until that is impossible, and says why."""
        works = [self.vigil.run(), *([self.follower.run()] if self.follower else [])]
        tasks = [asyncio.ensure_future(work) for work in works]

        async def failed() -> str:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return f"the audit cannot go on: {_first(done.pop().exception())}"

        try:
            yield failed
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def caught_up(self) -> None:
        """Wait until all that stood in the log at the beginning was checked, and is in the tables."""
        await self.vigil.caught_up.wait()
        if self.follower:
            await self.follower.caught_up.wait()

    def sign(self) -> None:
        """State what stands in the log so far, if it was read as far as it was signed before."""
        if self._notary and not self._notary.missing():
            self.vigil.sign(self._notary)

    @property
    def figures(self) -> dict[str, object]:
        """What was found, and how far the tables are behind."""
        return {"findings": self.vigil.findings, **({"lag": self.follower.lag} if self.follower else {})}


def _notary(log: Log, data: Path) -> Notary | None:
    try:
        return Notary.open(log.namespace, log.partitions, data)
    except ProofMissing as error:
        logger.warning("nothing will be signed: %s", error)
        return None
    except AnchorInvalid as error:
        raise Refused(f"a checkpoint in {data / 'audit'} proves nothing: {error}") from error


def _first(error: BaseException | None) -> BaseException | None:
    """What went wrong first in a group of tasks."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _follower(log: Log, codec: Codec, database: str) -> Follower:
    try:
        from services.audit.database import open_database
        from services.audit.following import Follower
        from services.audit.read_model import ReadModel
    except ModuleNotFoundError as error:
        raise Refused(f"a read model needs {error.name}: pip install openclaw-x[postgres]") from error
    return Follower(log, codec, ReadModel(open_database(database), log.namespace, log.partitions))
