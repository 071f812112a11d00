"""The envelope: the JSON object with which an agent says how its attempt ended, read with suspicion."""

import json
import math
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from services.factory.agents.port import ERROR_CHARS_MAX, RESULT_BYTES_MAX, Outcome, Output

ENVELOPE_BYTES_MAX = 1024 * 1024
"""Longest envelope; larger outputs are written to files."""

USAGE = ("input_tokens", "output_tokens", "cost_micros", "cpu_ms", "wall_ms")
_COUNT_MAX = 2**63 - 1


class EnvelopeBroken(Exception):
    """The envelope is none, or says what it may not say; the message is for the author of the agent."""


def parse_envelope(line: bytes) -> dict[str, Any]:
    """The JSON object in a line."""
    try:
        found = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise EnvelopeBroken(_say_why(line, error)) from error
    if not isinstance(found, dict):
        raise EnvelopeBroken(f"the last line on stdout must be a JSON object, found {_show(line)}")
    return found


def read_envelope(found: Mapping[str, Any], declared: Collection[str]) -> Outcome:
    """The outcome that an envelope states; `declared` are the names of the stage's outputs. Files are not looked at."""
    ok = found.get("ok")
    if not isinstance(ok, bool):
        raise EnvelopeBroken(f'"ok" must be true or false, found {_show(ok)}')
    error = found.get("error") or ""
    if not isinstance(error, str):
        raise EnvelopeBroken(f'"error" must be a text, found {_show(error)}')
    return Outcome(
        ok=ok,
        result=_result(found.get("result")),
        outputs=_outputs(found.get("outputs"), declared),
        quality=_quality(found.get("quality")),
        usage=read_usage(found.get("usage")),
        error=clean(error)[:ERROR_CHARS_MAX],
    )


def write_envelope(outcome: Outcome) -> dict[str, Any]:
    """The envelope that states an outcome."""
    outputs = {
        name: {key: value for key in ("text", "path", "media_type") if (value := getattr(output, key))} or {"text": ""}
        for name, output in outcome.outputs.items()
    }
    return {
        "ok": outcome.ok,
        "result": json.loads(outcome.result),
        "outputs": outputs,
        "quality": outcome.quality if outcome.quality >= 0 else None,
        "usage": dict(outcome.usage),
        "error": outcome.error,
    }


def write_result(result: Mapping[str, Any]) -> str:
    """A result as compact JSON text within its limit."""
    try:
        text = json.dumps(result, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        length = len(text.encode())
    except (ValueError, RecursionError) as error:
        raise EnvelopeBroken(f'"result" cannot be kept as JSON text: {error}') from error
    if length > RESULT_BYTES_MAX:
        raise EnvelopeBroken(f'"result" has {length} bytes, over the limit of {RESULT_BYTES_MAX}; write an output')
    return text


def clean(text: str) -> str:
    """The text without what UTF-8 cannot carry."""
    return text.encode(errors="replace").decode()


def _result(found: Any) -> str:
    if found is None:
        return "{}"
    if not isinstance(found, dict):
        raise EnvelopeBroken(f'"result" must be an object, found {_show(found)}')
    return write_result(found)


def _outputs(found: Any, declared: Collection[str]) -> dict[str, Output]:
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise EnvelopeBroken(f'"outputs" must be an object of outputs by name, found {_show(found)}')
    if unknown := [name for name in found if name not in declared]:
        known = ", ".join(sorted(declared)) or "none"
        raise EnvelopeBroken(f"the stage declares no output {clean(unknown[0])!r}; it declares: {known}")
    return {name: _output(name, value) for name, value in found.items()}


def _output(name: str, found: Any) -> Output:
    fields = {key: found.get(key) for key in ("text", "path", "media_type")} if isinstance(found, dict) else {}
    texts = [key for key in ("text", "path") if fields.get(key) is not None]
    if len(texts) != 1 or any(value is not None and not isinstance(value, str) for value in fields.values()):
        raise EnvelopeBroken(f'output {name!r} must be {{"path": TEXT}} or {{"text": TEXT}}, found {_show(found)}')
    return Output(
        text=None if fields["text"] is None else clean(fields["text"]),
        path=fields["path"],
        media_type=clean(fields["media_type"] or "")[:100],
    )


def _quality(found: Any) -> float:
    if found is None:
        return -1.0
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= 1 or math.isnan(found):
        raise EnvelopeBroken(f'"quality" must be a number from 0 to 1, found {_show(found)}')
    return float(found)


def read_usage(found: Any) -> dict[str, int]:
    """Counts of what was used, by the names in USAGE."""
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise EnvelopeBroken(f'"usage" must be an object of counts, found {_show(found)}')
    for name, count in found.items():
        if name not in USAGE:
            raise EnvelopeBroken(f'"usage" counts {", ".join(USAGE)}, not {clean(name)!r}')
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= _COUNT_MAX:
            raise EnvelopeBroken(f'"usage" must count {name} as a whole number from 0 on, found {_show(count)}')
    return dict(found)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _say_why(line: bytes, error: Exception) -> str:
    if line.lstrip()[:1] == b"{":
        return f"the last line on stdout starts a JSON object but is cut off or garbled ({error}): {_show(line)}"
    return f"the last line on stdout must be the answer as a JSON object, found {_show(line)}"


def _show(found: object) -> str:
    text = found.decode(errors="replace") if isinstance(found, bytes) else clean(repr(found))
    return text if len(text) <= 80 else f"{text[:77]}…"
