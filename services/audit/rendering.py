"""The state of a role as JSON that a person can read: maps sorted, times as they are, what was forgotten as counts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from immutables import Map
from pydantic import BaseModel

from bus.deadline import Deadlines
from bus.seen import Seen


def render(value: Any) -> Any:
    """A value as JSON has it. Raises TypeError for what no state holds."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return value.hex()
        case BaseModel():
            return value.model_dump(mode="json")
        case Deadlines():
            return dict(value)
        case Seen():
            return {"count": len(value)}
        case Mapping() | Map():
            return {key: render(each) for key, each in sorted((_key(key), each) for key, each in value.items())}
        case tuple() | list():
            return _render_group(value)
        case frozenset() | set():
            return sorted((render(each) for each in value), key=_sorting)
        case _ if dataclasses.is_dataclass(value):
            return {field.name: render(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise TypeError(f"no state holds a {type(value).__name__}")


def _render_group(value: Any) -> Any:
    names = getattr(value, "_fields", None)
    if names is None:
        return [render(each) for each in value]
    return {name: render(each) for name, each in zip(names, value, strict=True)}


def _key(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(render(key), ensure_ascii=False)


def _sorting(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
