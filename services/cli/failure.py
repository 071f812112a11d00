"""How a command ends when it does not end well: a sentence on stderr, and an exit code that scripts can rely on."""

from __future__ import annotations

DONE, FAILED, WRONG = 0, 1, 2
"""Exit codes: done; the work failed; used wrongly."""

INTERRUPTED = 130


class Wrong(Exception):
    """The command was used wrongly, or cannot be carried out as things are; nothing was written."""


class Failed(Exception):
    """What was asked for was tried and failed."""
