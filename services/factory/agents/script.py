"""The `script` agent: plays what the stage's parameters say, the same way every time; for tests, examples and
benchmarks."""

import asyncio
import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.definitions.duration import read_duration
from services.factory.agents.envelope import EnvelopeBroken, clean, read_envelope
from services.factory.agents.port import Assignment, Outcome, Output, failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One item of a script: what one attempt does."""

    delay_ms: int = 0
    fail: str = ""
    result: str = "{}"
    outputs: Mapping[str, Output]
    quality: float = -1.0
    usage: Mapping[str, int]


class ScriptBroken(Exception):
    """The parameters hold no script that can be played; the message is for the author of the workflow."""


def play(assignment: Assignment) -> tuple[int, Outcome]:
    """How long the attempt takes, in milliseconds, and its outcome."""
    try:
        scenes = read_script(assignment.parameters)
        scene = scenes[min(assignment.ordinal, len(scenes)) - 1]
        return scene.delay_ms, _perform(scene, assignment)
    except (ScriptBroken, EnvelopeBroken) as error:
        return 0, failed(str(error))


@functools.lru_cache(maxsize=256)
def read_script(parameters: str) -> tuple[Scene, ...]:
    """The scenes of a script, at least one."""
    given = json.loads(parameters)
    items = given.get("script", [{}]) if isinstance(given, dict) else None
    if not isinstance(items, list) or not items:
        raise ScriptBroken('"script" must be a list of at least one item')
    return tuple(_read_scene(number, item) for number, item in enumerate(items, 1))


def _read_scene(number: int, item: Any) -> Scene:
    if not isinstance(item, dict):
        raise ScriptBroken(f"item {number} of the script must be an object, found {item!r}")
    if unknown := item.keys() - {"result", "outputs", "delay", "fail", "quality", "usage"}:
        raise ScriptBroken(f"item {number} of the script holds {min(unknown)!r}, which means nothing")
    fail, outputs = item.get("fail", ""), item.get("outputs", {})
    if not isinstance(fail, str) or not isinstance(outputs, dict):
        raise ScriptBroken(f'item {number} of the script: "fail" must be a text and "outputs" an object')
    try:
        delay_ms = read_duration(str(item.get("delay", "0s")))
        stated = read_envelope({key: item.get(key) for key in ("result", "quality", "usage")} | {"ok": True}, ())
    except (ValueError, EnvelopeBroken) as error:
        raise ScriptBroken(f"item {number} of the script: {error}") from error
    return Scene(
        delay_ms=delay_ms,
        fail=fail,
        result=stated.result,
        outputs={name: _write_output(value) for name, value in outputs.items()},
        quality=stated.quality,
        usage=stated.usage,
    )


def _write_output(value: Any) -> Output:
    if isinstance(value, str):
        return Output(text=clean(value), media_type="text/plain")
    return Output(text=clean(json.dumps(value, ensure_ascii=False)), media_type="application/json")


def _perform(scene: Scene, assignment: Assignment) -> Outcome:
    if undeclared := scene.outputs.keys() - assignment.outputs.keys():
        return failed(f"the script writes {min(undeclared)!r}, which the stage does not declare as an output")
    if scene.fail:
        return failed(scene.fail, scene.outputs)
    outputs = {name: scene.outputs.get(name) or _invent(name, assignment) for name in assignment.outputs}
    return Outcome(ok=True, result=scene.result, outputs=outputs, quality=scene.quality, usage=scene.usage)


def _invent(name: str, assignment: Assignment) -> Output:
    """A short text that depends on the stage, its execution and what it read, and on nothing else."""
    lines = [f"{name} by {assignment.stage}, execution {assignment.execution}"]
    lines += [f"from {read} {source.digest}" for read, source in assignment.inputs.items()]
    return Output(text="\n".join(lines) + "\n", media_type="text/plain")


class ScriptAgent:
    """Plays scripts in a worker."""

    async def run(self, assignment: Assignment, progress: Callable[[str], None]) -> Outcome:
        delay_ms, outcome = play(assignment)
        await asyncio.sleep(delay_ms / 1000)
        return outcome
