"""The list that a map goes through: its items as contents, read once for each content."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from services.orchestrator.named import kept_by_digest

ITEMS_MAX = 100_000
"""Most items of a list."""

LIST_BYTES_MAX = 16 * 1024 * 1024
"""Largest list."""

LISTS_MAX = 16
"""Most lists that a process keeps ready."""

JSON_TYPE, TEXT_TYPE = "application/json", "text/plain"


class ListInvalid(ValueError):
    """The content is no list that a map can go through; the message is the end of a sentence about it."""


class Item(NamedTuple):
    """One entry of a list."""

    content: bytes
    media_type: str


def read_list(data: bytes) -> tuple[Item, ...]:
    """The items of a JSON list: texts as they are, anything else as JSON. Raises ListInvalid."""
    if len(data) > LIST_BYTES_MAX:
        raise ListInvalid(f"has {len(data)} bytes, more than {LIST_BYTES_MAX}")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ListInvalid(f"is no JSON: {error}") from error
    if not isinstance(value, list):
        raise ListInvalid("is no list")
    if len(value) > ITEMS_MAX:
        raise ListInvalid(f"has {len(value)} items, more than {ITEMS_MAX}")
    return tuple([_item(entry) for entry in value])


list_of = kept_by_digest(read_list, LISTS_MAX)
"""The items of the list of this digest and content."""


def _item(value: Any) -> Item:
    if isinstance(value, str):
        return Item(value.encode(errors="replace"), TEXT_TYPE)
    return Item(json.dumps(value, ensure_ascii=False).encode(errors="replace"), JSON_TYPE)
