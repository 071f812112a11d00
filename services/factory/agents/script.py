"""The `script` agent: plays what the stage's parameters say, the same way every time; for tests, examples and
benchmarks."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from services.definitions.duration import read_duration
from services.factory.agents.envelope import EnvelopeBroken, clean, read_envelope, write_result
from services.factory.agents.mailbox import Mailbox, MessageBroken, read_draft
from services.factory.agents.port import Assignment, Outcome, Output, failed

EXPECTED_SHOWN_MAX = 20
"""So many of the messages that were expected stand in the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """Messages that a scene waits for, acknowledges, and answers if it has an answer."""

    count: int = 1
    within_ms: int = 10_000
    type: str = ""  # empty: of any type
    reply: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One item of a script: what one attempt does."""

    delay_ms: int = 0
    fail: str = ""
    send: tuple[Mapping[str, Any], ...] = ()  # messages, sent first
    expect: Expectation | None = None  # messages that are waited for then
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
    if unknown := item.keys() - {"result", "outputs", "delay", "fail", "quality", "usage", "send", "expect"}:
        raise ScriptBroken(f"item {number} of the script holds {min(unknown)!r}, which means nothing")
    fail, outputs = item.get("fail", ""), item.get("outputs", {})
    if not isinstance(fail, str) or not isinstance(outputs, dict):
        raise ScriptBroken(f'item {number} of the script: "fail" must be a text and "outputs" an object')
    try:
        delay_ms = read_duration(str(item.get("delay", "0s")))
        stated = read_envelope({key: item.get(key) for key in ("result", "quality", "usage")} | {"ok": True}, ())
        send, expect = _read_send(item.get("send", [])), _read_expectation(item.get("expect"))
    except (ValueError, EnvelopeBroken, MessageBroken) as error:
        raise ScriptBroken(f"item {number} of the script: {error}") from error
    return Scene(
        delay_ms=delay_ms,
        fail=fail,
        send=send,
        expect=expect,
        result=stated.result,
        outputs={name: _write_output(value) for name, value in outputs.items()},
        quality=stated.quality,
        usage=stated.usage,
    )


def _read_send(found: Any) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(found, list):
        raise ValueError('"send" must be a list of messages')
    for draft in found:
        read_draft(draft)
    return tuple(found)


def _read_expectation(found: Any) -> Expectation | None:
    if found is None:
        return None
    if not isinstance(found, dict) or found.keys() - {"count", "within", "type", "reply"}:
        raise ValueError('"expect" must be an object with "count", "within", "type", "reply", all of them optional')
    count, kind = found.get("count", 1), found.get("type", "")
    if isinstance(count, bool) or not isinstance(count, int) or count < 1 or not isinstance(kind, str):
        raise ValueError('of "expect", "count" must be a whole number from 1 on and "type" a text')
    within_ms = read_duration(str(found.get("within", "10s")))
    return Expectation(count=count, within_ms=within_ms, type=kind, reply=found.get("reply"))


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


def scene_of(assignment: Assignment) -> Scene | None:
    """What the attempt plays, if it can be read."""
    try:
        scenes = read_script(assignment.parameters)
    except ScriptBroken:
        return None
    return scenes[min(assignment.ordinal, len(scenes)) - 1]


def talks(assignment: Assignment) -> bool:
    """Whether the scene to be played has messages in it."""
    scene = scene_of(assignment)
    return bool(scene and (scene.send or scene.expect))


class ScriptAgent:
    """Plays scripts in a worker."""

    async def run(self, assignment: Assignment, progress: Callable[[str], None]) -> Outcome:
        delay_ms, outcome = play(assignment)
        await asyncio.sleep(delay_ms / 1000)
        return outcome

    async def talk(self, assignment: Assignment, progress: Callable[[str], None], mailbox: Mailbox) -> Outcome:
        scene = scene_of(assignment)
        letters: list[Mapping[str, Any]] = []
        try:
            for draft in scene.send if scene else ():
                mailbox.send(draft)
            if scene and scene.expect and not await _expect(scene.expect, mailbox, letters):
                within = f"{scene.expect.within_ms} ms"
                return failed(f"of {scene.expect.count} messages that it expected {len(letters)} came within {within}")
        except MessageBroken as error:
            return failed(str(error))
        outcome = await self.run(assignment, progress)
        return _with_letters(outcome, letters) if outcome.ok and letters else outcome


async def _expect(expected: Expectation, mailbox: Mailbox, letters: list[Mapping[str, Any]]) -> bool:
    """Whether as many messages came as are expected; they are added to the letters."""
    try:
        async with asyncio.timeout(expected.within_ms / 1000):
            while len(letters) < expected.count:
                letters.append(letter := await mailbox.take(expected.type))
                if letter["context"]["requires_ack"]:
                    mailbox.acknowledge(letter["message_id"])
                if expected.reply is not None:
                    mailbox.send({"reply_to": letter["message_id"], "payload": expected.reply})
    except TimeoutError:
        return False
    return True


def _with_letters(outcome: Outcome, letters: list[Mapping[str, Any]]) -> Outcome:
    shown = [{name: each[name] for name in ("source_instance", "message_type", "payload")} for each in letters]
    result = {**json.loads(outcome.result), "messages": shown[:EXPECTED_SHOWN_MAX], "received": len(letters)}
    try:
        return replace(outcome, result=write_result(result))
    except EnvelopeBroken as error:
        return failed(str(error))
