"""Media types by file name, and back; the same on every machine."""

from __future__ import annotations

from mimetypes import MimeTypes
from pathlib import PurePath

_KNOWN = MimeTypes()
_OURS = {".md": "text/markdown", ".yaml": "application/yaml", ".yml": "application/yaml", ".jsonl": "application/jsonl"}

JSON = "application/json"
TEXT = "text/plain"
BYTES = "application/octet-stream"


def media_type_of(name: str) -> str:
    """What the ending of a file name says of its content."""
    return _OURS.get(PurePath(name).suffix.lower()) or _KNOWN.guess_type(name)[0] or BYTES


def ending_of(media_type: str) -> str:
    """The ending of a file name that fits, or nothing where none does."""
    plain = media_type.partition(";")[0].strip().lower()
    if plain == BYTES:
        return ""
    ours = next((ending for ending, known in _OURS.items() if known == plain), "")
    return ours or _KNOWN.guess_extension(plain) or ""
