"""Maps: one execution of a stage goes through the items of a list, each a part of it, and gathers what they give.

How far it is stands in its own state: the next item begins as soon as the last decision has room and fewer than
`max_parallel` are under way. An item of a subflow goes through it from its beginning to its end, whatever the others
do, so there is no barrier between the stages inside.
"""

from __future__ import annotations

import json
from typing import Any

from services.definitions.stage import Stage
from services.definitions.versions import digest_of
from services.orchestrator.asking import content_of, has_content, request
from services.orchestrator.ending import complete, fail
from services.orchestrator.flow import Given, Parts
from services.orchestrator.lists import JSON_TYPE, ListInvalid, list_of
from services.orchestrator.run import Execution, Run
from services.orchestrator.subflow import begin_flow
from services.orchestrator.turn import Turn
from services.orchestrator.waiting import HUMAN, wait
from services.records.content import INLINE_BYTES_MAX, Artifact, Content
from services.records.task import Items

ITEMS_OPEN_MAX = 1_000
"""Most items of a map under way at once, also where its `max_parallel` says more or nothing."""


def begin_map(turn: Turn, stage: Stage, number: int, item: int, mutexes: tuple[str, ...]) -> None:
    """Say that it begins; its list is read once the content is there."""
    assert stage.map is not None
    items = Items(
        over=turn.flow(stage.id, item).artifacts[stage.map.over],
        parallel_max=min(stage.map.max_parallel or ITEMS_OPEN_MAX, ITEMS_OPEN_MAX),
        collect=stage.map.collect is not None,
    )
    wait(turn, stage, number, item, "items", mutexes=mutexes, items=items)


def go_through(turn: Turn, execution: Execution) -> bool:
    """One step: count the items, begin the next one, or complete; False if it lacks a content."""
    parts, stage = execution.parts, turn.stage(execution.stage)
    assert parts is not None
    assert parts.items is not None
    if parts.open == 0 and parts.begun == parts.items.count:
        return _complete(turn, execution, stage, parts)
    if not has_content(turn, parts.items.over):
        return False
    try:
        if parts.items.count < 0:
            _count(turn, execution, stage, parts.items)
        else:
            _begin_item(turn, stage, execution.number, parts.begun)
    except ListInvalid as error:
        assert stage.map is not None
        fail(turn, execution, "input_invalid", f"`{stage.map.over}`, over which it maps, {error}")
    return True


def _count(turn: Turn, execution: Execution, stage: Stage, items: Items) -> None:
    data = content_of(turn, items.over)
    if data is None:
        raise ListInvalid("is not in the blob store")
    counted = items.model_copy(update={"count": len(list_of(items.over.digest, data))})
    wait(turn, stage, execution.number, execution.item, "items", items=counted)


def begin_anew(turn: Turn, name: str, number: int, item: int) -> None:
    """Begin an item that was under way where this run was forked."""
    stage = turn.stage(name)
    try:
        _begin_item(turn, stage, number, item)
    except ListInvalid as error:
        reason = f"the list that it is an item of {error}"
        turn.later(lambda: _fail_item(turn, name, number, item, reason))


def _fail_item(turn: Turn, name: str, number: int, item: int, reason: str) -> None:
    execution = turn.execution(name, number, item)
    if execution is not None and not turn.run.is_stopping(execution):
        fail(turn, execution, "input_invalid", reason)


def _begin_item(turn: Turn, stage: Stage, number: int, item: int) -> None:
    turn.bytes += turn.size_of(stage, turn.flow(stage.id, -1).artifacts)
    if stage.kind == "subflow":
        begin_flow(turn, stage, number, item, ())
    elif stage.agent == HUMAN:
        wait(turn, stage, number, item, "person", until_ms=turn.now_ms + stage.timeout_ms if stage.timeout_ms else 0)
    else:
        request(turn, stage, number, item, attempt=1)


# What it gathers.


def wanted(run: Run) -> tuple[str, ...]:
    """The contents that what is ready to go on first lacks: of a map that gathers, those that its items wrote."""
    first = run.open.get(run.inner.ready[0]) if run.inner.ready else None
    parts = first.parts if first else None
    if parts is None or parts.items is None or parts.stop is not None or parts.begun != parts.items.count:
        return ()
    given = parts.given.values()
    return tuple(sorted({each.digest for one in given for each in one.outputs if each.inline is None}))


def _complete(turn: Turn, execution: Execution, stage: Stage, parts: Parts) -> bool:
    assert stage.map is not None
    assert parts.items is not None
    written = [artifact for given in parts.given.values() for artifact in given.outputs]
    if not all(has_content(turn, artifact) for artifact in written):
        return False
    contents: tuple[Content, ...] = ()
    if stage.map.collect is not None:
        contents = (_collected(turn, stage, stage.map.collect, parts, parts.items.count),)
    result = {"items": parts.items.count, "completed": parts.completed}
    complete(turn, execution, json.dumps(result), contents)
    return True


def _collected(turn: Turn, stage: Stage, name: str, parts: Parts, count: int) -> Content:
    """A JSON list in the order of the items; null for an item that was left out."""
    names = list(dict.fromkeys([*[output.name for output in stage.output], *_handed_out(stage)]))
    values = [_value(turn, names, parts.given.get(item)) for item in range(count)]
    data = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    inline = data if len(data) <= INLINE_BYTES_MAX else None
    digest = turn.draft.keep(data) if inline is None else digest_of(data)
    return Content(name=name, digest=digest, size=len(data), media_type=JSON_TYPE, inline=inline)


def _handed_out(stage: Stage) -> list[str]:
    return sorted(stage.subflow.outputs) if stage.subflow else []


def _value(turn: Turn, names: list[str], given: Given | None) -> Any:
    """What an item wrote, by name if its stage has several outputs; its result if it has none."""
    if given is None:
        return None
    if not names:
        return json.loads(given.result or "null")
    prefix = len(turn.definition.level(given.outputs[0].name).prefix) if given.outputs else 0
    written = {artifact.name[prefix:]: _read(turn, artifact) for artifact in given.outputs}
    return written.get(names[0]) if len(names) == 1 else {name: written.get(name) for name in names}


def _read(turn: Turn, artifact: Artifact) -> Any:
    """The value of JSON, the text of text; of anything else what it is."""
    data = content_of(turn, artifact)
    try:
        if data is not None:
            text = data.decode()
            return json.loads(text) if artifact.media_type.partition(";")[0] == JSON_TYPE else text
    except (ValueError, RecursionError):
        pass
    return {"sha256": artifact.digest.removeprefix("sha256:"), "size": artifact.size, "media_type": artifact.media_type}
