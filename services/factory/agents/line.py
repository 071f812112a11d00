"""The line from a program of ours to its worker: leave to call a provider, and what was used.

One JSON object a line over a socket whose number stands in the environment:

    program  {"admit": PROVIDER}    answered by {"go": true} when a call may be made
             {"answered": PROVIDER, "limited_ms": N or null}
             {"used": {…}}
"""

import json
import os
import socket
from collections.abc import Mapping
from typing import Self

VARIABLE = "CLAWX_LINE"


class Line:
    """The program's end; without a socket nothing holds a call up."""

    def __init__(self, end: socket.socket | None) -> None:
        self._end = end
        self._heard = end.makefile("rb") if end else None

    @classmethod
    def open(cls) -> "Line":
        number = os.environ.get(VARIABLE, "")
        return cls(socket.socket(fileno=int(number)) if number else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._heard:
            self._heard.close()
        if self._end:
            self._end.close()

    @property
    def is_there(self) -> bool:
        return self._end is not None

    def admit(self, provider: str) -> None:
        """Return when a call may be made."""
        if self._heard:
            self._send(admit=provider)
            self._heard.readline()

    def answered(self, provider: str, limited_ms: int | None = None) -> None:
        """A call has ended; `limited_ms` where the provider wants none for so long."""
        self._send(answered=provider, limited_ms=limited_ms)

    def used(self, usage: Mapping[str, int]) -> None:
        """What was used so far."""
        self._send(used=dict(usage))

    def _send(self, **message: object) -> None:
        if self._end:
            self._end.sendall(json.dumps(message).encode() + b"\n")
