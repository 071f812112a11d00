"""The attempts on this node: given to workers, stopped in time, and each answered by exactly one end report."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bus.blobs import BlobStore
from bus.clock import Clock
from bus.errors import BusError
from bus.record import Envelope, derive_id
from services.factory import end_report
from services.factory.agents.envelope import EnvelopeBroken, parse_envelope, read_usage
from services.factory.agents.port import TERMINATE_MS, Assignment, Input, Outcome, Output, failed
from services.factory.allowance import Allowance
from services.factory.attempt_directory import inputs_by_digest
from services.factory.background import Background
from services.factory.equipment import Equipment
from services.factory.held_instance import Attempt, HeldInstance
from services.factory.journal import Journal
from services.factory.mail import Mail, MessageRejected
from services.factory.output_store import OutputStore
from services.factory.profile import ProfileMissing
from services.factory.provider_calls import Caller, ProviderCalls
from services.factory.reports import Reports
from services.factory.secrets import SecretUnknown
from services.factory.telemetry import Telemetry
from services.records.budget import TrancheGranted, TrancheRefused
from services.records.content import Content
from services.records.task import TaskAssigned
from services.records.telemetry import WorkerOutput

logger = logging.getLogger(__name__)

ENDED_MAX = 20_000
"""So many ended attempts are remembered, so that an assignment that is heard again is not worked on again."""

STUBBORN_MS = 1_000
"""How much longer than TERMINATE_MS a worker may take to end an attempt; after that the worker itself is ended."""

LINE_CHARS_MAX = 2_000

EARLY_MAX = 1_000
"""So many answers on budgets are kept that are heard before the assignments that they are about."""

_NOT_JOURNALLED: Any = {
    "reasons": True,
    "runners_up": True,
    "work": {"inputs", "parameters", "instructions", "feedback"},
}
"""What a later life does not need to answer an attempt."""


class Attempts:
    """All open attempts by id, and the ids of those that have ended."""

    def __init__(
        self,
        *,
        blobs: BlobStore,
        store: OutputStore,
        equipment: Equipment,
        clock: Clock,
        journal: Journal,
        reports: Reports,
        telemetry: Telemetry,
        background: Background,
        mail: Mail,
    ) -> None:
        self._blobs, self._store = blobs, store
        self._equipment, self._secrets = equipment, equipment.secrets
        self.calls = ProviderCalls(clock, self._caller_of, self._may_spend)
        self._mail = mail
        self._clock, self._journal, self._reports, self._telemetry = clock, journal, reports, telemetry
        self._background = background
        self._loop = asyncio.get_running_loop()
        self._open: dict[str, Attempt] = {}
        self._ended: dict[str, None] = {}
        self._early: dict[str, TrancheGranted | TrancheRefused] = {}

    def knows(self, attempt_id: str) -> bool:
        """Whether it is open, or has ended not long ago."""
        return attempt_id in self._open or attempt_id in self._ended

    def assign(self, held: HeldInstance, envelope: Envelope) -> None:
        """Work on an attempt, now or when a slot is free."""
        order: TaskAssigned = envelope.record
        attempt = Attempt(
            order=order,
            held=held,
            trace=envelope.trace,
            cause=str(envelope.at),
            deadline_ms=order.deadline_ms or self._clock.now_ms() + order.work.timeout_ms,
            allowance=Allowance(order) if order.budgeted else None,
        )
        self._open[order.attempt_id] = held.attempts[order.attempt_id] = attempt
        if attempt.may_begin and held.running < held.slots:
            self._begin(attempt)
        else:
            held.waiting.append(attempt)
            self._set_deadline(attempt)
        if early := self._early.pop(order.attempt_id, None):
            self.hear_budget(early)

    def refuse(self, envelope: Envelope, reason: str) -> None:
        """Answer an attempt that cannot be worked on here."""
        order: TaskAssigned = envelope.record
        outcome = failed(reason, code="worker_lost")
        report = end_report.failed(order, outcome, (), 0, self._clock.now_ms())
        self._remember(order.attempt_id)
        trace, cause = envelope.trace, str(envelope.at)
        if order.budgeted:
            nothing = Allowance(order).account({}, final=True)
            self._reports.add(nothing, derive_id(order.node_session, order.attempt_id, "usage", 1), trace=trace)
        self._reports.add(report, end_report.end_id(order.node_session, order.attempt_id), trace=trace, cause=cause)

    def cancel(self, attempt_id: str, reason: str) -> None:
        """Stop an attempt if it is open here; its end report says that it was cancelled."""
        if attempt := self._open.get(attempt_id):
            self._stop(attempt, "cancelled", reason or "cancelled")

    def hear_budget(self, answer: TrancheGranted | TrancheRefused) -> None:
        """A budgeted attempt may begin or go on; or a budget is used up, and it ends now with what there is of it."""
        attempt = self._open.get(answer.attempt_id)
        if attempt is None and answer.attempt_id not in self._ended:
            self._early[answer.attempt_id] = answer
            if len(self._early) > EARLY_MAX:
                del self._early[next(iter(self._early))]
        if attempt is None or attempt.allowance is None or not attempt.allowance.answers(answer):
            return
        if isinstance(answer, TrancheRefused):
            self._stop(attempt, "budget", answer.reason)
            return
        attempt.allowance.grant(answer)
        self._next(attempt.held)
        self._account(attempt)

    async def _may_spend(self, attempt_id: str) -> None:
        attempt = self._open.get(attempt_id)
        if attempt and attempt.allowance:
            await attempt.allowance.opened()

    def _account(self, attempt: Attempt, *, final: bool = False, known: bool = True) -> None:
        """Say what was used of a tranche that is used up, or whatever was used at the end."""
        allowance = attempt.allowance
        if allowance and (final or allowance.is_used_up(attempt.usage)):
            record_id = derive_id(attempt.order.node_session, attempt.attempt_id, "usage", allowance.number)
            report = allowance.account(attempt.usage, final=final, known=known)
            self._reports.add(report, record_id, trace=attempt.trace, cause=attempt.cause)

    def _begin(self, attempt: Attempt) -> None:
        held, worker = attempt.held, attempt.held.worker
        assert worker
        held.running += 1
        attempt.started_at_ms = self._clock.now_ms()
        if attempt.has_files:
            attempt.laying = self._background.start(self._lay(attempt))
        else:
            self._give(attempt, inputs_by_digest(attempt.order.work.inputs), attempt.order.work.parameters, {})
        if not attempt.has_ended:
            self._write_journal(attempt)
            self._set_deadline(attempt)

    async def _lay(self, attempt: Attempt) -> None:
        """Put the inputs, and for agents that read what their profession says, where the worker finds them, then let
        it work."""
        held = attempt.held
        try:
            inputs = await attempt.directory.lay(attempt.order.work.inputs, self._blobs)
            profession = await self._equipment.lay(held.order, attempt.agent, attempt.directory.path)
        except (BusError, OSError, ProfileMissing) as error:
            self.end(attempt.attempt_id, failed(f"the inputs could not be laid down: {error}"))
            return
        attempt.laying = None
        try:
            parameters = attempt.order.work.parameters
            parameters, attempt.secrets = self._equipment.equip(parameters, held.order, attempt.agent, profession)
            self._give(attempt, inputs, parameters, self._secrets.read(attempt.secrets))
        except SecretUnknown as error:
            self.end(attempt.attempt_id, failed(str(error)))

    def _caller_of(self, attempt_id: str) -> Caller:
        attempt = self._open.get(attempt_id)
        if attempt is None:
            return Caller()
        return Caller(
            instance_id=attempt.held.instance_id,
            calls_a_minute=attempt.held.order.resources.api_calls_per_minute,
            key=",".join(sorted(attempt.secrets.values())),
        )

    def _give(self, attempt: Attempt, inputs: Mapping[str, Input], parameters: str, secrets: Mapping[str, str]) -> None:
        order, held = attempt.order, attempt.held
        assert held.worker
        work = order.work
        directory = attempt.directory if held.worker.needs_files else None
        attempt.assignment = Assignment(
            run_id=work.run_id,
            stage=work.stage,
            execution=work.execution,
            item=work.item,
            ordinal=work.ordinal,
            task_id=order.task_id,
            attempt_id=order.attempt_id,
            profession=work.profession or held.order.profession,
            agent=attempt.agent,
            parameters=parameters,
            secrets=secrets,
            inputs=inputs,
            outputs=directory.output_paths(work.outputs) if directory else dict.fromkeys(work.outputs, ""),
            deadline_ms=attempt.deadline_ms,
            instructions=work.instructions,
            feedback=work.feedback,
            home=str(held.directory) if directory else "",
            directory=str(directory.path) if directory else "",
        )
        held.worker.give(attempt.assignment)
        self._mail.hand_out(attempt)

    def _write_journal(self, attempt: Attempt) -> None:
        attempt.is_journalled = True
        self._journal.write(
            "attempt",
            attempt.attempt_id,
            order=attempt.order.model_dump(mode="json", exclude=_NOT_JOURNALLED),
            trace=attempt.trace,
            cause=attempt.cause,
            started_at_ms=attempt.started_at_ms,
            directory=str(attempt.held.directory),
        )

    def _set_deadline(self, attempt: Attempt) -> None:
        attempt.clear_timer()
        delay_ms = max(0, attempt.deadline_ms - self._clock.now_ms())
        reason = f"it was not done by its deadline, {attempt.order.work.timeout_ms} ms after it was assigned"
        attempt.timer = self._loop.call_later(delay_ms / 1000, self._stop, attempt, "timeout", reason)

    def _stop(self, attempt: Attempt, code: str, reason: str) -> None:
        if attempt.stop_code or attempt.has_ended:
            return
        attempt.stop_code, attempt.stop_reason = code, reason
        attempt.clear_timer()
        if attempt.laying:
            attempt.laying.cancel()
            self.end(attempt.attempt_id, failed(reason, code=code))
        elif attempt in attempt.held.waiting:
            attempt.held.waiting.remove(attempt)
            attempt.held.running += 1  # as if it had begun, so that its end gives back what it took
            self.end(attempt.attempt_id, failed(reason, code=code))
        elif attempt.assignment and attempt.held.worker:
            attempt.timer = self._loop.call_later((TERMINATE_MS + STUBBORN_MS) / 1000, self._force, attempt)
            attempt.held.worker.stop(attempt.attempt_id, code)

    def _force(self, attempt: Attempt) -> None:
        """The worker does not end the attempt: end the worker."""
        logger.warning("worker %s does not end attempt %s; it is killed", attempt.held.worker_id, attempt.attempt_id)
        if attempt.held.worker:
            self._background.start(attempt.held.worker.end(grace_ms=0))

    def end(self, attempt_id: str, outcome: Outcome) -> None:
        """Take the outcome of an attempt, once, and report it as soon as its outputs are durable."""
        attempt = self._open.get(attempt_id)
        if attempt is None or attempt.has_ended:
            return
        attempt.has_ended = True
        attempt.clear_timer()
        outcome = replace(
            outcome,
            result=self._secrets.strike(outcome.result),
            error=self._secrets.strike(outcome.error),
            usage={**attempt.usage, **outcome.usage},
        )
        if not outcome.ok and attempt.stop_code:
            partial = self._find_partial(attempt)
            outcome = replace(outcome, code=attempt.stop_code, error=attempt.stop_reason, outputs=partial)
        contents = self._store.inline(outcome, _bases(attempt))
        if contents is None:
            self._background.start(self._collect(attempt, outcome))
        else:
            self._report(attempt, outcome, contents)

    def _find_partial(self, attempt: Attempt) -> dict[str, Output]:
        work = attempt.order.work
        return attempt.directory.find_partial(work.stage, work.outputs) if attempt.has_files else {}

    async def _collect(self, attempt: Attempt, outcome: Outcome) -> None:
        try:
            contents = await self._store.store(outcome, _bases(attempt), attempt.directory.path)
        except EnvelopeBroken as error:
            outcome, contents = replace(outcome, ok=False, error=str(error), code="error", outputs={}), ()
        self._report(attempt, outcome, contents)

    def _report(self, attempt: Attempt, outcome: Outcome, contents: tuple[Content, ...]) -> None:
        order, held = attempt.order, attempt.held
        spoke = outcome.ok or bool(outcome.usage) or not attempt.started_at_ms
        attempt.usage = {**attempt.usage, **outcome.usage}
        self._account(attempt, final=True, known=spoke)
        make = end_report.completed if outcome.ok else end_report.failed
        report = make(order, outcome, contents, attempt.started_at_ms, self._clock.now_ms())
        self._reports.add(
            report,
            end_report.end_id(order.node_session, order.attempt_id),
            trace=attempt.trace,
            cause=attempt.cause,
            kept=attempt.is_journalled,
            told=(lambda: self._clear(attempt)) if attempt.is_journalled or attempt.settled else None,
        )
        if attempt.is_journalled:
            self._journal.write("ended", order.attempt_id)
        del self._open[order.attempt_id]
        del held.attempts[order.attempt_id]
        self._remember(order.attempt_id)
        held.running -= 1
        self._next(held)

    def _next(self, held: HeldInstance) -> None:
        """Begin those that wait for a slot and may begin, as far as there are slots."""
        for attempt in [each for each in held.waiting if each.may_begin]:
            if held.running >= held.slots or held.finishing:
                return
            held.waiting.remove(attempt)
            self._begin(attempt)

    def _clear(self, attempt: Attempt) -> None:
        """Its end report is durable: nothing of it is needed any more."""
        if attempt.settled and not attempt.settled.done():
            attempt.settled.set_result(None)
        if not attempt.held.finishing and attempt.directory.path.exists():
            self._background.start(attempt.directory.remove())

    def _remember(self, attempt_id: str) -> None:
        self._ended[attempt_id] = None
        if len(self._ended) > ENDED_MAX:
            del self._ended[next(iter(self._ended))]

    async def lose(self, held: HeldInstance, reason: str) -> None:
        """Answer all open attempts of an instance whose worker is gone, with what there is of their outputs; returns
        when the answers are durable."""
        held.waiting.clear()
        attempts = list(held.attempts.values())
        settled = []
        for attempt in attempts:
            attempt.settled = self._loop.create_future()
            settled.append(attempt.settled)
            if attempt.laying:
                attempt.laying.cancel()
            held.running += attempt.started_at_ms == 0
            self.end(attempt.attempt_id, failed(reason, self._find_partial(attempt), code="worker_lost"))
        await asyncio.gather(*settled)
        self.calls.forget(held.instance_id)

    def print(self, attempt_id: str, line: str) -> None:
        """Pass on a line that a worker printed about an attempt."""
        if attempt := self._open.get(attempt_id):
            if line.startswith('{"usage"'):
                self._note_usage(attempt_id, line)
            order = attempt.order
            output = WorkerOutput(
                workspace_id=order.workspace_id,
                instance_id=order.instance_id,
                run_id=order.work.run_id,
                stage=order.work.stage,
                attempt_id=attempt_id,
                line=self._secrets.strike(line)[:LINE_CHARS_MAX],
            )
            self._telemetry.add(output, attempt.trace)

    def _note_usage(self, attempt_id: str, line: str) -> None:
        """A program says on a line of its own what it has used so far."""
        try:
            usage = read_usage(parse_envelope(line.encode(errors="replace")).get("usage"))
        except EnvelopeBroken as error:
            logger.info("attempt %s says what it used in a way that cannot be read: %s", attempt_id, error)
        else:
            self.use(attempt_id, usage)

    def use(self, attempt_id: str, usage: Mapping[str, int]) -> None:
        """Note what an attempt has used so far, so that it is told however the attempt ends."""
        if attempt := self._open.get(attempt_id):
            attempt.usage = usage
            self._account(attempt)

    def send(self, attempt_id: str, draft: Mapping[str, Any]) -> None:
        """Send a message that a worker wrote; one that cannot be sent is answered by a line."""
        if attempt := self._open.get(attempt_id):
            try:
                self._mail.send(attempt, draft)
            except MessageRejected as error:
                self.print(attempt_id, f"message refused: {error}")

    def receive(self, attempt_id: str, message_id: str) -> None:
        """A worker has received a message."""
        if attempt := self._open.get(attempt_id):
            self._mail.receive(attempt, message_id)


def _bases(attempt: Attempt) -> dict[str, int]:
    return {each.name: each.version for each in attempt.order.work.inputs}
