"""The `codex` agent: the command-line program `codex exec --json`, which ends its turn with completed or failed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.factory.agents.answer import read_answer
from services.factory.agents.briefing import write_briefing
from services.factory.agents.events import (
    PAUSE_MS,
    count,
    explain_silence,
    lay_rules,
    make_state,
    provider_of,
    read_event,
    speaks_of_limit,
)
from services.factory.agents.parameters import Parameters
from services.factory.agents.port import Assignment, Outcome
from services.factory.agents.printed import Stdout
from services.factory.agents.program import CommandBroken, RateLimited, surround

PROGRAM = "codex"
KEYS = ("CODEX_API_KEY", "OPENAI_API_KEY")
PROVIDER = "api.openai.com"
SANDBOXES = ("workspace-write", "read-only", "danger-full-access")

_MESSAGES = ("agent_message", "assistant_message")


class CodexDialect:
    """One attempt of it."""

    has_line = False

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._text, self._error, self._is_complete = "", "", False
        self._usage = {"input_tokens": 0, "output_tokens": 0}
        given = Parameters(PROGRAM, assignment.parameters)
        base_url, model = given.text("base_url"), given.text("model")
        sandbox = given.text("sandbox", SANDBOXES[0])
        given.close()
        if sandbox not in SANDBOXES:
            raise CommandBroken(f"the parameter 'sandbox' of the agent codex must be one of {', '.join(SANDBOXES)}")
        self.provider = provider_of(base_url, PROVIDER)
        self.command = [PROGRAM, "exec", "--json", "--skip-git-repo-check", "--sandbox", sandbox, "-"]
        state = make_state(assignment)
        lay_rules(assignment, "AGENTS.md")
        _write_config(state / "codex", model, base_url, "CODEX_API_KEY" in assignment.secrets)
        self.environment = surround(assignment, str(state), CODEX_HOME=str(state / "codex"))
        self.stdin = write_briefing(assignment).encode(errors="replace")

    def hear(self, line: bytes) -> int | None:
        event = read_event(line)
        match event.get("type"):
            case "item.completed":
                self._take_item(event.get("item"))
            case "turn.completed":
                self._is_complete, self._error = True, ""
                self._count(event.get("usage"))
            case "turn.failed" | "error" as kind:
                self._is_complete = self._is_complete and kind == "error"  # one that passed is told as well
                self._error = _message(event)
                return PAUSE_MS if speaks_of_limit(self._error) else None
        return None

    @property
    def spent(self) -> Mapping[str, int]:
        return self._usage

    def _take_item(self, item: Any) -> None:
        if isinstance(item, dict) and (item.get("type") or item.get("item_type")) in _MESSAGES:
            self._text = str(item.get("text") or "")

    def _count(self, usage: Any) -> None:
        for name in self._usage:
            self._usage[name] += count(usage if isinstance(usage, dict) else {}, name)

    def conclude(self, stdout: Stdout) -> Outcome:
        if self._is_complete:
            return read_answer(self._text, self._assignment.outputs, self._usage)
        if not self._error:
            raise explain_silence(stdout, "codex ended without its event turn.completed")
        if speaks_of_limit(self._error):
            raise RateLimited(PAUSE_MS)
        return Outcome(ok=False, error=f"codex failed: {self._error}", usage=self._usage)


def _message(event: Mapping[str, Any]) -> str:
    error = event.get("error")
    words = error.get("message") if isinstance(error, dict) else event.get("message") or error
    return " ".join(str(words or "without a word").split())


def _write_config(home: Path, model: str, base_url: str, has_own_key: bool) -> None:
    """Its configuration: nobody is there to approve anything. The key stays in the environment."""
    home.mkdir(exist_ok=True)
    lines = ['approval_policy = "never"', "check_for_update_on_startup = false"]
    if model:
        lines.append(f"model = {_quote(model)}")
    if base_url:
        key = KEYS[0] if has_own_key else KEYS[1]
        lines += ['model_provider = "given"', "", "[model_providers.given]", 'name = "given"', 'wire_api = "responses"']
        lines += [f"base_url = {_quote(base_url)}", f'env_key = "{key}"']
    (home / "config.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _quote(text: str) -> str:
    """A text as TOML has it, which is as JSON has it."""
    return json.dumps(text, ensure_ascii=True)
