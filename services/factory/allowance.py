"""What a budgeted attempt may use: its tranches, each accounted for when it is used up and when the attempt ends."""

import asyncio
from collections.abc import Mapping

from services.records.budget import NO_LIMIT, TrancheGranted, TrancheRefused, UsageReported
from services.records.content import Usage
from services.records.task import TaskAssigned

_COUNTED = ("input_tokens", "output_tokens", "cost_micros", "cpu_ms", "wall_ms")


class Allowance:
    """Of one attempt. Between the account of a tranche and the grant of the next one it may use nothing."""

    def __init__(self, order: TaskAssigned) -> None:
        self._order = order
        self.number = 1
        self._tokens = self._cost_micros = 0
        self._is_granted = False
        self._accounted: dict[str, int] = dict.fromkeys(_COUNTED, 0)
        self._open = asyncio.Event()

    @property
    def has_begun(self) -> bool:
        """Whether it ever got a tranche."""
        return self._is_granted or self.number > 1

    def answers(self, answer: TrancheGranted | TrancheRefused) -> bool:
        """Whether this is about the tranche that it waits for."""
        same = (answer.number, answer.node_session) == (self.number, self._order.node_session)
        return same and not self._is_granted

    def grant(self, granted: TrancheGranted) -> None:
        """Go on with this."""
        self._tokens, self._cost_micros = granted.tokens, granted.cost_micros
        self._is_granted = True
        self._open.set()

    async def opened(self) -> None:
        """Return when it may use something."""
        await self._open.wait()

    def is_used_up(self, usage: Mapping[str, int]) -> bool:
        """Whether with all that it has used so far the tranche is at its end."""
        tokens = self._since("input_tokens", usage) + self._since("output_tokens", usage)
        return self._is_granted and (
            (self._tokens != NO_LIMIT and tokens >= self._tokens)
            or (self._cost_micros != NO_LIMIT and self._since("cost_micros", usage) >= self._cost_micros)
        )

    def _since(self, name: str, usage: Mapping[str, int]) -> int:
        return max(0, usage.get(name, 0) - self._accounted[name])

    def account(self, usage: Mapping[str, int], *, final: bool, known: bool = True) -> UsageReported:
        """What it has used since the last account; from here on it waits for the next tranche."""
        order = self._order
        report = UsageReported(
            workspace_id=order.workspace_id,
            run_id=order.work.run_id,
            attempt_id=order.attempt_id,
            instance_id=order.instance_id,
            node_id=order.node_id,
            node_session=order.node_session,
            incarnation=order.incarnation,
            number=self.number,
            usage=Usage(**{name: self._since(name, usage) for name in _COUNTED}),
            final=final,
            known=known,
        )
        self._accounted = {name: max(self._accounted[name], usage.get(name, 0)) for name in _COUNTED}
        self.number += 1
        self._is_granted = False
        self._open.clear()
        return report
