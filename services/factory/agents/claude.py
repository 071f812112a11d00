"""The `claude` agent: the command-line program `claude -p`, whose last event says how it went."""

from collections.abc import Mapping
from typing import Any

from services.factory.agents.answer import read_answer
from services.factory.agents.briefing import write_briefing
from services.factory.agents.envelope import EnvelopeBroken
from services.factory.agents.events import (
    PAUSE_MS,
    count,
    explain_silence,
    lay_rules,
    make_state,
    micros,
    provider_of,
    read_event,
)
from services.factory.agents.parameters import Parameters
from services.factory.agents.port import Assignment, Outcome
from services.factory.agents.printed import Stdout
from services.factory.agents.program import CommandBroken, RateLimited, surround

PROGRAM = "claude"
KEYS = ("ANTHROPIC_API_KEY",)
PROVIDER = "api.anthropic.com"
MODES = ("acceptEdits", "plan", "dontAsk", "bypassPermissions", "default")

_TURNS_MAX = 1_000
_LIMITED = (429, 529)


class ClaudeDialect:
    """One attempt of it."""

    has_line = False

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._result: Mapping[str, Any] = {}
        self._spent: dict[str, Mapping[str, int]] = {}
        given = Parameters(PROGRAM, assignment.parameters)
        base_url = given.text("base_url")
        self.provider = provider_of(base_url, PROVIDER)
        self.command = write_command(given)
        given.close()
        state = make_state(assignment)
        lay_rules(assignment, "CLAUDE.md")
        self.environment = surround(
            assignment,
            str(state),
            CLAUDE_CONFIG_DIR=str(state / "claude"),
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
            DISABLE_AUTOUPDATER="1",
            **({"ANTHROPIC_BASE_URL": base_url} if base_url else {}),
        )
        self.stdin = write_briefing(assignment).encode(errors="replace")

    def hear(self, line: bytes) -> int | None:
        event = read_event(line)
        if event.get("type") == "result":
            self._result = event
        elif event.get("type") == "assistant":
            self._add_message(event.get("message"))
        elif event.get("subtype") == "api_retry" and event.get("error_status") in _LIMITED:
            return count(event, "retry_delay_ms")
        return None

    def _add_message(self, message: Any) -> None:
        """Its usage so far; the parts of one message come as events of their own, each with what the whole has used."""
        if isinstance(message, dict):
            self._spent[str(message.get("id"))] = _usage(message)

    @property
    def spent(self) -> Mapping[str, int]:
        names = ("input_tokens", "output_tokens")
        return {name: sum(each[name] for each in self._spent.values()) for name in names} if self._spent else {}

    def conclude(self, stdout: Stdout) -> Outcome:
        found = self._result
        if not found:
            raise explain_silence(stdout, "claude ended without its event of type result")
        text, is_error = found.get("result"), found.get("is_error")
        if not isinstance(is_error, bool) or not isinstance(text, str | None):
            raise EnvelopeBroken("the event of type result has no is_error, or a result that is no text")
        if is_error and found.get("api_error_status") in _LIMITED:
            raise RateLimited(PAUSE_MS)
        if is_error or found.get("subtype") != "success" or text is None:
            return Outcome(ok=False, error=_explain(found), usage=_usage(found))
        return read_answer(text, self._assignment.outputs, _usage(found))


def write_command(given: Parameters) -> list[str]:
    """The prompt comes on stdin, which has room for it and stands in no list of processes."""
    command = [PROGRAM, "-p", "--output-format", "stream-json", "--verbose"]
    mode = given.text("permission_mode", MODES[0])
    if mode not in MODES:
        raise CommandBroken(f"the parameter 'permission_mode' of the agent claude must be one of {', '.join(MODES)}")
    command += ["--permission-mode", mode]
    if model := given.text("model"):
        command += ["--model", model]
    if turns := given.whole("max_turns", 0, _TURNS_MAX):
        command += ["--max-turns", str(turns)]
    for option, name in (("--allowedTools", "allowed_tools"), ("--disallowedTools", "disallowed_tools")):
        if tools := given.texts(name):
            command += [option, ",".join(tools)]
    return command


def _explain(found: Mapping[str, Any]) -> str:
    words = found.get("result") or "; ".join(str(each) for each in found.get("errors") or ())
    return f"claude failed ({found.get('subtype')}): {' '.join(str(words).split()) or 'without a word'}"


def _usage(found: Mapping[str, Any]) -> dict[str, int]:
    usage = found.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return {
        "input_tokens": count(counts, *names),
        "output_tokens": count(counts, "output_tokens"),
        "cost_micros": micros(found.get("total_cost_usd")),
    }
