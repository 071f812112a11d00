"""One call of the model: its words as they come, the calls of tools that it makes, and what it used."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


class StreamBroken(Exception):
    """The endpoint ended its stream before its end, or sent what is none; the call may be made again."""


@dataclass(slots=True, kw_only=True)
class Call:
    """A tool that the model wants called."""

    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True, kw_only=True)
class Turn:
    """What came of one call."""

    text: str = ""
    calls: dict[int, Call] = field(default_factory=dict)
    finish: str = ""
    input_tokens: int = 0
    output_tokens: int = 0

    def message(self) -> dict[str, Any]:
        """As it stands in the conversation from then on."""
        calls = [
            {"id": each.id, "type": "function", "function": {"name": each.name, "arguments": each.arguments}}
            for each in self.calls.values()
        ]
        return {"role": "assistant", "content": self.text, **({"tool_calls": calls} if calls else {})}


def take_turn(client: Any, request: Mapping[str, Any], speak: Callable[[str], None]) -> Turn:
    """Make the call; `speak` gets each piece of text. Raises StreamBroken, or an error of the client library."""
    turn = Turn()
    try:
        with client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **request) as stream:
            for chunk in stream:
                _add(turn, chunk, speak)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StreamBroken(f"the endpoint sent what is no chunk of a completion: {error}") from error
    if not turn.finish:
        raise StreamBroken("the endpoint ended its stream in the middle")
    return turn


def _add(turn: Turn, chunk: Any, speak: Callable[[str], None]) -> None:
    if usage := getattr(chunk, "usage", None):
        turn.input_tokens, turn.output_tokens = int(usage.prompt_tokens or 0), int(usage.completion_tokens or 0)
    for choice in chunk.choices or ():
        delta = choice.delta
        if delta and delta.content:
            turn.text += delta.content
            speak(delta.content)
        for piece in (delta and delta.tool_calls) or ():
            _add_call(turn.calls.setdefault(piece.index or 0, Call()), piece)
        turn.finish = choice.finish_reason or turn.finish


def _add_call(call: Call, piece: Any) -> None:
    call.id = piece.id or call.id
    if piece.function:
        call.name += piece.function.name or ""
        call.arguments += piece.function.arguments or ""
