"""The port of all agents: what an attempt gives them, and what they give back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from services.factory.agents.mailbox import Mailbox

RESULT_BYTES_MAX = 32 * 1024
"""Largest result of an attempt, as JSON text."""

ERROR_CHARS_MAX = 2_000
"""Longest error of an attempt; the rest is cut off."""

FAILURES = ("error", "timeout", "cancelled", "worker_lost", "budget")
"""Why an attempt can fail."""

TERMINATE_MS = 2_000
"""How long the processes of an attempt have between being asked to end and being killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """An artifact that the attempt reads; `path` is empty where nothing is laid down as a file."""

    digest: str  # "sha256:" and 64 hexadecimal digits
    media_type: str = "application/octet-stream"
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One attempt as an agent sees it. `outputs` says for each declared output the path it may be written to."""

    run_id: str
    stage: str
    execution: int
    item: int
    ordinal: int
    task_id: str
    attempt_id: str
    profession: str
    agent: str
    parameters: str  # JSON
    inputs: Mapping[str, Input]
    outputs: Mapping[str, str]
    deadline_ms: int
    instructions: str = ""
    feedback: str = ""  # why the result of an earlier attempt was sent back
    home: str = ""  # directory of the instance
    directory: str = ""  # of the attempt
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)  # values by variable; nowhere but in memory
    proxy: str = ""  # address by which programs reach the network where there is no other way
    direct: str = ""  # hosts that they reach without it


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """An output as the agent gives it: a text or a file below the attempt's directory. No media type: guess."""

    text: str | None = None
    path: str | None = None
    media_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended. `outputs` of one that failed are what there is of them."""

    ok: bool
    result: str = "{}"  # a JSON object
    outputs: Mapping[str, Output] = field(default_factory=dict)
    quality: float = -1.0  # 0 to 1; below 0 for none
    usage: Mapping[str, int] = field(default_factory=dict)
    error: str = ""
    code: str = "error"  # one of FAILURES; means nothing where ok


def failed(error: str, outputs: Mapping[str, Output] | None = None, *, code: str = "error") -> Outcome:
    """The outcome of an attempt that came to nothing, with the reason in a sentence."""
    return Outcome(ok=False, error=error[:ERROR_CHARS_MAX], outputs=outputs or {}, code=code)


class Liaison(Protocol):
    """What an agent and its node say to each other while an attempt is under way."""

    async def admit(self, attempt_id: str, provider: str) -> None:
        """Wait until one call to this provider may go."""
        ...

    def answered(self, attempt_id: str, provider: str, limited_ms: int | None = None) -> None:
        """A call has ended; `limited_ms` where the provider wants fewer of them, and for so long none."""
        ...

    def used(self, attempt_id: str, usage: Mapping[str, int]) -> None:
        """What the attempt has used so far, all told."""
        ...


class Agent(Protocol):
    """How a worker thinks."""

    async def run(self, assignment: Assignment, progress: Callable[[str], None]) -> Outcome:
        """Work on one attempt, telling lines of progress meanwhile.

        Failures of the work are outcomes, never exceptions. Cancelled, it ends every process that it started, within
        TERMINATE_MS, before it lets the cancellation through.
        """
        ...


@runtime_checkable
class Talker(Protocol):
    """An agent that has a use for messages; others leave theirs to the instance's next attempt that has."""

    async def talk(self, assignment: Assignment, progress: Callable[[str], None], mailbox: Mailbox) -> Outcome:
        """Work on one attempt as `Agent.run` does, with messages meanwhile."""
        ...
