"""The `openclaw` agent: one turn of the real package, `openclaw agent exec`, with a configuration of its own."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.factory.agents.answer import read_answer
from services.factory.agents.briefing import IDENTITY, PERSONA, RULES, read_laid, write_briefing
from services.factory.agents.envelope import EnvelopeBroken
from services.factory.agents.events import (
    PAUSE_MS,
    count,
    explain_silence,
    make_state,
    micros,
    provider_of,
    speaks_of_limit,
)
from services.factory.agents.parameters import Parameters
from services.factory.agents.port import Assignment, Outcome
from services.factory.agents.printed import Stdout
from services.factory.agents.program import CommandBroken, RateLimited, surround

PROGRAM = "openclaw"
KEYS = ("OPENAI_API_KEY",)
URL = "https://api.openai.com/v1"
APIS = ("openai-completions", "openai-responses", "anthropic-messages")

_CONTEXT_TOKENS = 128_000
_ANSWER_TOKENS = 8_192
_QUIET = {
    "CI": "1",
    "DO_NOT_TRACK": "1",
    "OPENCLAW_NO_AUTO_UPDATE": "1",
    "OPENCLAW_OFFLINE": "1",
    "OPENCLAW_DISABLE_BONJOUR": "1",
    "OPENCLAW_NO_RESPAWN": "1",
    "OPENCLAW_SKIP_CHANNELS": "1",
    "OPENCLAW_SKIP_CRON": "1",
    "OPENCLAW_EXEC_SHELL_SNAPSHOT": "0",
}
"""It fetches nothing, announces nothing and starts nothing else."""

_JSON_START = re.compile(rb"^\{", re.MULTILINE)


class OpenClawDialect:
    """One attempt of it."""

    has_line = False

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        given = Parameters(PROGRAM, assignment.parameters)
        base_url, model, api = given.text("base_url", URL), given.text("model"), given.text("api", APIS[0])
        tokens_max = given.whole("max_tokens", _ANSWER_TOKENS, 1_000_000)
        prices = {"input": given.number("input_price", 1e6) or 0, "output": given.number("output_price", 1e6) or 0}
        given.close()
        if not model or api not in APIS:
            raise CommandBroken(f'the agent openclaw needs a "model", and an "api" that is one of {", ".join(APIS)}')
        self.provider = provider_of(base_url, URL)
        state = make_state(assignment)
        config = state / "openclaw.json"
        place = Path(assignment.directory)
        lay_workspace(assignment, place)
        settings = write_config(model, base_url, api, tokens_max, prices, place, state)
        config.write_text(json.dumps(settings, indent=1), encoding="utf-8")
        (state / "openclaw").mkdir(exist_ok=True)
        self.command = [PROGRAM, "agent", "exec", "--message-file", "-", "--json", "--timeout", "0"]
        self.command += ["--config", str(config), "--cwd", str(place), "--state-dir", str(state / "openclaw")]
        self.environment = surround(
            assignment,
            str(state),
            OPENCLAW_HOME=str(state),
            OPENCLAW_STATE_DIR=str(state / "openclaw"),
            OPENCLAW_CONFIG_PATH=str(config),
            NODE_COMPILE_CACHE=str(Path(assignment.home) / "node-compile-cache"),
            **_QUIET,
        )
        self.stdin = write_briefing(assignment).encode(errors="replace")

    @property
    def spent(self) -> Mapping[str, int]:
        return {}

    def hear(self, line: bytes) -> int | None:
        """The whole of stdout is the answer."""

    def conclude(self, stdout: Stdout) -> Outcome:
        found = read_whole(stdout)
        if not isinstance(found.get("ok"), bool):
            raise EnvelopeBroken("the answer of openclaw says neither ok nor not ok")
        if not found["ok"]:
            words = _explain(found)
            if speaks_of_limit(words):
                raise RateLimited(PAUSE_MS)
            return Outcome(ok=False, error=f"openclaw failed: {words}", usage=_usage(found))
        final = found.get("final")
        if not isinstance(final, str):
            raise EnvelopeBroken("the answer of openclaw has no final text")
        return read_answer(final, self._assignment.outputs, _usage(found))


def lay_workspace(assignment: Assignment, place: Path) -> None:
    """The files that it reads at the start of a session."""
    for name in (PERSONA, RULES, IDENTITY):
        if text := read_laid(assignment, name):
            (place / name).write_text(text + "\n", encoding="utf-8")


def write_config(
    model: str, base_url: str, api: str, tokens_max: int, prices: Mapping[str, float], place: Path, state: Path
) -> dict[str, Any]:
    """Its configuration: one provider, no plugins, nothing that runs by itself. The key is named, not written."""
    offered = {
        "id": model,
        "name": model,
        "reasoning": False,
        "input": ["text"],
        "cost": {**prices, "cacheRead": 0, "cacheWrite": 0},
        "contextWindow": _CONTEXT_TOKENS,
        "maxTokens": tokens_max,
    }
    provider = {"baseUrl": base_url, "apiKey": f"${{{KEYS[0]}}}", "api": api, "models": [offered]}
    chosen = f"given/{model}"
    return {
        "update": {"checkOnStart": False},
        "telemetry": {"enabled": False},
        "discovery": {"mdns": {"mode": "off"}},
        "agents": {
            "defaults": {
                "workspace": str(place),
                "skipBootstrap": True,
                "model": {"primary": chosen},
                "models": {chosen: {}},
                "heartbeat": {"every": "0m"},
            }
        },
        "models": {"mode": "replace", "providers": {"given": provider}, "catalogRefresh": {"enabled": False}},
        "plugins": {"enabled": False},
        "logging": {"file": str(state / "openclaw.log"), "level": "info"},
        "diagnostics": {"enabled": False},
        "browser": {"enabled": False},
        "cron": {"enabled": False},
    }


def read_whole(stdout: Stdout) -> Mapping[str, Any]:
    """The JSON object that stdout ends with, on one line or many."""
    text = stdout.read_kept()
    for start in _JSON_START.finditer(text):
        try:
            found = json.loads(text[start.start() :])
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return found
    raise explain_silence(stdout, "openclaw ended without its answer as a JSON object")


def _explain(found: Mapping[str, Any]) -> str:
    error = found.get("error")
    words = error.get("message") if isinstance(error, dict) else error
    return " ".join(str(words or found.get("status") or "without a word").split())


def _usage(found: Mapping[str, Any]) -> dict[str, int]:
    usage = found.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return {
        "input_tokens": count(counts, "input", "cacheRead", "cacheWrite"),
        "output_tokens": count(counts, "output"),
        "cost_micros": micros(found.get("costUsd")),
    }


NODE_LEAST = (24, 16)
_ANSWER_S = 10.0


def find_absence(search: str) -> str:
    """Why it cannot run with this search path; empty if it can."""
    if not shutil.which(PROGRAM, path=search):
        return "openclaw is not there (npm install --global openclaw)"
    node = shutil.which("node", path=search)
    if not node:
        return "openclaw is there, but no node to run it"
    try:
        done = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=_ANSWER_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"node does not work: {error}"
    version = tuple(int(part) for part in re.findall(r"\d+", done.stdout)[:2])
    least = ".".join(map(str, NODE_LEAST))
    return "" if version >= NODE_LEAST else f"node {done.stdout.strip()} is too old for openclaw, it needs {least}"
