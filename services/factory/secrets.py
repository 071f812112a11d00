"""Secrets that a node hands to agents: named by reference, read where they are used, struck out wherever they turn up.

A reference is the name of a variable in the node's environment or the path of a file of the node. Workflows and
professions may name only those that the node was told to hand out.
"""

import json
import mmap
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

STRUCK_OUT = "[secret]"

LENGTH_MIN = 6
"""Shorter values are not looked for: they would be found everywhere."""

REWRITTEN_BYTES_MAX = 64 * 1024 * 1024
"""Largest file out of which a secret is struck."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}\Z")
_NOT_SECRETS = frozenset({"PATH", "HOME", "LANG", "TMPDIR", "LD_PRELOAD", "LD_LIBRARY_PATH", "CLAWX_LINE"})


class SecretUnknown(Exception):
    """A secret that this node does not hand out, or cannot; the message is for the author of the workflow."""


class Secrets:
    """Those of one node; all the values that were ever read are remembered, to be struck out."""

    def __init__(self, handed_out: Iterable[str], environment: Mapping[str, str]) -> None:
        self._handed_out = frozenset(handed_out)
        self._environment = environment
        self._values: set[str] = set()
        for reference in sorted(self._handed_out):
            if reference in environment or Path(reference).is_file():
                self._read(reference)

    def find(self, parameters: str, implied: Iterable[str]) -> dict[str, str]:
        """The references of the secrets that an attempt gets, by the variable that it finds each in: those that its
        parameters name, and the implied variables that this node hands out under the same name."""
        found = {name: name for name in implied if name in self._handed_out and name in self._environment}
        given = json.loads(parameters)
        named = given.get("secrets") if isinstance(given, dict) else None
        if named is None:
            return found
        if not isinstance(named, dict):
            raise SecretUnknown('"secrets" must say for each variable {"env": NAME} or {"file": PATH}')
        return {**found, **{name: self._reference(name, value) for name, value in named.items()}}

    def _reference(self, variable: str, named: Any) -> str:
        if not _VARIABLE.match(variable) or variable in _NOT_SECRETS:
            raise SecretUnknown(f"no secret can be in the variable {variable!r}")
        match named:
            case {"env": str(reference), **rest} if not rest and "/" not in reference:
                pass
            case {"file": str(reference), **rest} if not rest and reference.startswith("/"):
                pass
            case _:
                raise SecretUnknown(f'the secret {variable} must be {{"env": NAME}} or {{"file": PATH}}, never a value')
        if reference not in self._handed_out:
            raise SecretUnknown(f"this node hands out no secret {reference!r}; its CLAWX_SECRETS would have to name it")
        return reference

    def read(self, references: Mapping[str, str]) -> dict[str, str]:
        """The values by variable, as they are now."""
        return {variable: self._read(reference) for variable, reference in references.items()}

    def _read(self, reference: str) -> str:
        if "/" not in reference:
            value = self._environment.get(reference, "")
        else:
            try:
                value = Path(reference).read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                raise SecretUnknown(f"the secret {reference!r} cannot be read on this node") from error
        if not value or "\0" in value:
            raise SecretUnknown(f"the secret {reference!r} is not there on this node")
        if len(value) >= LENGTH_MIN:
            self._values.update({value, json.dumps(value)[1:-1]})
        return value

    def strike(self, text: str) -> str:
        """The text without any of them."""
        for value in self._values:
            if value in text:
                text = text.replace(value, STRUCK_OUT)
        return text

    def strike_bytes(self, data: bytes) -> bytes:
        """The bytes without any of them."""
        for value in self._values:
            data = data.replace(value.encode(), STRUCK_OUT.encode())
        return data

    def is_in(self, path: Path) -> bool:
        """Whether a file holds one of them."""
        if not self._values:
            return False
        with path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                return False
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return any(content.find(value.encode()) >= 0 for value in self._values)
