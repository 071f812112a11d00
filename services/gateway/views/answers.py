"""Which fact answered which ask."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from bus.channel import Position
from bus.record import Ask, Envelope, Fact, Record
from services.records.content import Content

ASKS_MAX = 100_000
"""Most asks that are remembered, with their answers; a key of idempotency holds for as long."""


EARLY_MAX = 1_000
"""Most answers that are kept until their ask is read."""


@dataclass(slots=True, kw_only=True)
class KeptAsk:
    """An ask as it first stood on the log, and the first fact that answered it."""

    at: Position
    actor: str
    idempotency_key: str
    answer: str = ""  # type of the fact
    answer_at: Position | None = None
    answer_id: str = ""  # of the aggregate that the fact names
    reason: str = ""  # of a refusal
    told: Content | None = None  # what the fact tells, where it does nothing but tell

    @property
    def is_refused(self) -> bool:
        return self.answer.endswith(("Refused", "Conflicted"))


_SUBJECTS = ("run_id", "instance_id", "review_id", "profession", "node_id", "key_id")


class AnswerView:
    """The newest asks by their ids. Facts name the ask that they answer, or have it as their cause."""

    def __init__(self, language: tuple[type[Record], ...]) -> None:
        self.wants = tuple(kind for kind in language if issubclass(kind, Ask) or _answers(kind))
        self.asks: OrderedDict[str, KeptAsk] = OrderedDict()
        self._ids: dict[str, str] = {}  # by position
        self._early: OrderedDict[str, Envelope] = OrderedDict()  # answers on another channel than their asks

    def apply(self, envelope: Envelope) -> None:
        if isinstance(envelope.record, Ask):
            self._note(envelope)
        elif isinstance(envelope.record, Fact):
            ask_id = getattr(envelope.record, "ask_id", "") or self._ids.get(envelope.origin.cause, "")
            known = self.asks.get(ask_id)
            if known and not known.answer:
                self._answer(known, envelope)
            elif known is None and type(envelope.record).__name__ in _ELSEWHERE:
                self._early[ask_id] = envelope
                if len(self._early) > EARLY_MAX:
                    self._early.popitem(last=False)

    def _note(self, envelope: Envelope) -> None:
        assert envelope.at is not None  # an ask stands on the log
        if envelope.id in self.asks:
            return
        ask = envelope.record
        self.asks[envelope.id] = KeptAsk(at=envelope.at, actor=ask.actor, idempotency_key=ask.idempotency_key)
        self._ids[str(envelope.at)] = envelope.id
        if early := self._early.pop(envelope.id, None):
            self._answer(self.asks[envelope.id], early)
        if len(self.asks) > ASKS_MAX:
            _, oldest = self.asks.popitem(last=False)
            del self._ids[str(oldest.at)]

    def _answer(self, known: KeptAsk, envelope: Envelope) -> None:
        record = envelope.record
        known.answer, known.answer_at = type(record).__name__, envelope.at
        known.answer_id = next((str(found) for name in _SUBJECTS if (found := getattr(record, name, ""))), "")
        known.reason = getattr(record, "reason", "") if known.is_refused else ""
        known.told = getattr(record, "plan", None)


_ELSEWHERE = {"MessageSent", "MessageRefused"}
"""Facts that may stand on another channel than the ask that they answer, so that they may be read before it."""

_CAUSED = {"StageEnded", "StageStopping", "AttemptFailed", "InstanceStopping", "InstanceEnded"}
"""Facts that answer an ask which they do not name."""


def _answers(kind: type[Record]) -> bool:
    return issubclass(kind, Fact) and ("ask_id" in kind.model_fields or kind.__name__ in _CAUSED)
