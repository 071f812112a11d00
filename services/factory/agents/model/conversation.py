"""The conversation of one attempt: turns of the model and of its tools, until it has nothing more to call."""

import os
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from services.factory.agents.answer import read_answer
from services.factory.agents.envelope import EnvelopeBroken, write_envelope
from services.factory.agents.line import Line
from services.factory.agents.model.dialect import KEY
from services.factory.agents.model.patience import GivenUp, Patience
from services.factory.agents.model.tools import TOOLS, answer_call
from services.factory.agents.model.turn import Turn, take_turn
from services.factory.agents.model.workspace import Workspace, WorkspaceBroken
from services.factory.agents.port import Outcome, failed

Order = Mapping[str, Any]

_MESSAGE_CHARS_MAX = 200


def hold(order: Order) -> dict[str, Any]:
    """Hold it; the envelope that states its outcome."""
    try:
        from openai import OpenAI, OpenAIError
    except ImportError as error:
        words = f"the agent model needs a package that is not here ({error}): pip install 'openclaw-x[model]'"
        return write_envelope(failed(words))
    key = os.environ.get(KEY) or "none"  # an endpoint of one's own may want none
    try:
        client = OpenAI(api_key=key, base_url=order["base_url"] or None, max_retries=0, timeout=order["timeout_s"])
    except OpenAIError as error:
        return write_envelope(failed(f"there is no client for the endpoint: {error}"))
    with client, Line.open() as line:
        return write_envelope(Conversation(client, order, line).run())


class Conversation:
    """What was said so far, and what it cost."""

    def __init__(self, client: Any, order: Order, line: Line) -> None:
        self._client, self._order, self._line = client, order, line
        self._workspace = Workspace(order["directory"])
        self._patience = Patience(line, urlsplit(str(client.base_url)).netloc, _report)
        self._usage = {"input_tokens": 0, "output_tokens": 0, "cost_micros": 0}
        system = [{"role": "system", "content": order["system"]}] if order["system"] else []
        self._messages: list[dict[str, Any]] = [*system, {"role": "user", "content": order["prompt"]}]

    def run(self) -> Outcome:
        """Take turns to the end."""
        try:
            for _ in range(max(1, self._order["turns_max"])):
                turn = self._patience.call(lambda: take_turn(self._client, self._request(), _speak))
                self._count(turn)
                if not turn.calls:
                    return self._conclude(turn)
                self._messages.append(turn.message())
                self._answer(turn)
        except GivenUp as error:
            return self._fail(str(error))
        return self._fail(f"the model was still calling tools after {self._order['turns_max']} turns")

    def _request(self) -> dict[str, Any]:
        order = self._order
        request: dict[str, Any] = {"model": order["model"], "messages": self._messages}
        if order["has_tools"]:
            request["tools"] = TOOLS
        if order["temperature"] is not None:
            request["temperature"] = order["temperature"]
        if order["tokens_max"]:
            request["max_completion_tokens"] = order["tokens_max"]
        return request

    def _count(self, turn: Turn) -> None:
        self._usage["input_tokens"] += turn.input_tokens
        self._usage["output_tokens"] += turn.output_tokens
        price = self._order["input_price"] * turn.input_tokens + self._order["output_price"] * turn.output_tokens
        self._usage["cost_micros"] += round(price)
        self._line.used(self._usage)

    def _answer(self, turn: Turn) -> None:
        for call in turn.calls.values():
            _report(f"{call.name} {call.arguments}"[:_MESSAGE_CHARS_MAX])
            content = answer_call(self._workspace, call.name, call.arguments)
            self._messages.append({"role": "tool", "tool_call_id": call.id, "content": content})

    def _conclude(self, turn: Turn) -> Outcome:
        if turn.finish != "stop":
            return self._fail(f"the model did not end its answer by itself: {turn.finish}")
        try:
            outcome = read_answer(turn.text, self._order["outputs"], self._usage)
            for name, output in outcome.outputs.items():  # as a file, however long it is
                self._workspace.write(self._order["outputs"][name], output.text or "")
        except (EnvelopeBroken, WorkspaceBroken) as error:
            return self._fail(str(error))
        return Outcome(ok=True, result=outcome.result, quality=outcome.quality, usage=self._usage)

    def _fail(self, reason: str) -> Outcome:
        return Outcome(ok=False, error=reason, usage=self._usage)


def _speak(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _report(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
