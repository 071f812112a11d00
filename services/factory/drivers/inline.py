"""The `inline` driver: plays scripts inside the node, with no process; for benchmarks and the smallest setups."""

import asyncio
from collections.abc import Mapping
from typing import Any

from services.factory.agents.mailbox import Mailbox, read_draft
from services.factory.agents.port import Assignment, Outcome, failed
from services.factory.agents.script import ScriptAgent, play, talks
from services.factory.drivers.port import WorkerFailed, WorkerPlan
from services.records.content import Resources


class InlineDriver:
    """Starts nothing."""

    def limits(self, resources: Resources) -> tuple[str, ...]:
        return ()

    async def start(self, plan: WorkerPlan) -> "InlineWorker":
        if plan.agent != "script":
            raise WorkerFailed("agent", f"the inline driver plays scripts only, it cannot run the agent {plan.agent!r}")
        return InlineWorker(plan)

    async def close(self) -> None:
        """Nothing to end."""


class InlineWorker:
    """Ends an attempt while it is given, or when its delay is over."""

    pid = 0
    born = 0
    limits: tuple[str, ...] = ()
    needs_files = False

    def __init__(self, plan: WorkerPlan) -> None:
        self._plan, self._ended = plan, plan.ended
        self._loop = asyncio.get_running_loop()
        self._delays: dict[str, asyncio.TimerHandle] = {}
        self._talks: dict[str, asyncio.Task[None]] = {}
        self._mailboxes: dict[str, Mailbox] = {}
        self.gone: asyncio.Future[str] = self._loop.create_future()

    def give(self, assignment: Assignment) -> None:
        if assignment.agent != "script":
            self._ended(assignment.attempt_id, failed(f"an inline worker cannot run the agent {assignment.agent!r}"))
            return
        if talks(assignment):
            self._mailboxes[assignment.attempt_id] = self._open_mailbox(assignment.attempt_id)
            self._talks[assignment.attempt_id] = self._loop.create_task(self._talk(assignment))
            return
        delay_ms, outcome = play(assignment)
        if delay_ms:
            attempt_id = assignment.attempt_id
            self._delays[attempt_id] = self._loop.call_later(delay_ms / 1000, self._end_attempt, attempt_id, outcome)
        else:
            self._ended(assignment.attempt_id, outcome)

    async def _talk(self, assignment: Assignment) -> None:
        attempt_id = assignment.attempt_id
        outcome = await ScriptAgent().talk(assignment, lambda line: None, self._mailboxes[attempt_id])
        del self._talks[attempt_id], self._mailboxes[attempt_id]
        self._ended(attempt_id, outcome)

    def _open_mailbox(self, attempt_id: str) -> Mailbox:
        return Mailbox(
            send=lambda draft: self._plan.sent(attempt_id, read_draft(draft)),
            received=lambda message_id: self._plan.received(attempt_id, message_id),
        )

    def deliver(self, attempt_id: str, letter: Mapping[str, Any]) -> None:
        if mailbox := self._mailboxes.get(attempt_id):
            mailbox.put(letter)

    def stop(self, attempt_id: str, code: str) -> None:
        if talk := self._talks.pop(attempt_id, None):
            talk.cancel()
            del self._mailboxes[attempt_id]
            self._ended(attempt_id, failed("the attempt was stopped", code=code))
        if delay := self._delays.get(attempt_id):
            delay.cancel()
            self._end_attempt(attempt_id, failed("the attempt was stopped", code=code))

    def _end_attempt(self, attempt_id: str, outcome: Outcome) -> None:
        del self._delays[attempt_id]
        self._ended(attempt_id, outcome)

    def ping(self) -> bool:
        return True

    async def end(self, *, grace_ms: int) -> None:
        for delay in self._delays.values():
            delay.cancel()
        self._delays.clear()
        for talk in self._talks.values():
            talk.cancel()
        self._talks.clear()
        self._mailboxes.clear()
        if not self.gone.done():
            self.gone.set_result("stopped")
