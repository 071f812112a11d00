"""Stand-ins for command-line programs: each replays what the real one is documented, or was seen, to print."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HEAD = """#!{python} -I
import json, os, sys, time
prompt = sys.stdin.read()
seen = dict(argv=sys.argv[1:], environment=dict(os.environ), prompt=prompt, cwd=os.getcwd())
runs = len([each for each in os.listdir({notes!r})])
open(os.path.join({notes!r}, str(runs)), "w").write(json.dumps(seen))
def tell(event): print(json.dumps(event), flush=True)
"""


class Fake:
    """A program under a name that is found first on the path. `notes` keeps what each run of it saw."""

    def __init__(self, directory: Path, name: str) -> None:
        self.bin, self.notes = directory / "bin", directory / "notes"
        self.name = name
        for place in (self.bin, self.notes):
            place.mkdir(parents=True)

    def does(self, body: str) -> None:
        program = self.bin / self.name
        program.write_text(HEAD.format(python=sys.executable, notes=str(self.notes)) + body)
        program.chmod(0o755)

    @property
    def runs(self) -> list[dict[str, Any]]:
        places = sorted(self.notes.iterdir(), key=lambda place: int(place.name))
        return [json.loads(place.read_text()) for place in places]


def tell(*events: Mapping[str, Any]) -> str:
    """The lines of a fake that prints these events."""
    return "".join(f"tell({dict(event)!r})\n" for event in events)


def claude_init() -> dict[str, Any]:
    return {"type": "system", "subtype": "init", "session_id": "s1", "tools": ["Bash", "Read"], "model": "m"}


def claude_words(text: str) -> dict[str, Any]:
    message = {"id": "msg1", "role": "assistant", "type": "message", "content": [{"type": "text", "text": text}]}
    return {"type": "assistant", "message": message, "session_id": "s1"}


def claude_result(text: str | None, **fields: Any) -> dict[str, Any]:
    result = {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "duration_ms": 1234,
        "duration_api_ms": 1200,
        "num_turns": 2,
        "session_id": "s1",
        "total_cost_usd": 0.0123,
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 200,
            "cache_read_input_tokens": 3000,
            "output_tokens": 45,
            "server_tool_use": {"web_search_requests": 0},
        },
        "permission_denials": [],
        **({} if text is None else {"result": text}),
    }
    return {**result, **fields}


def codex_begin() -> tuple[dict[str, Any], ...]:
    return {"type": "thread.started", "thread_id": "t1"}, {"type": "turn.started"}


def codex_words(text: str, kind: str = "agent_message") -> dict[str, Any]:
    return {"type": "item.completed", "item": {"id": "item_1", "type": kind, "text": text}}


def codex_completed() -> dict[str, Any]:
    return {"type": "turn.completed", "usage": {"input_tokens": 500, "cached_input_tokens": 400, "output_tokens": 20}}


def codex_failed(message: str) -> tuple[dict[str, Any], ...]:
    return {"type": "error", "message": message}, {"type": "turn.failed", "error": {"message": message}}
