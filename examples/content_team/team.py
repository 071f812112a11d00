"""The content team as a program: the argument says who works, the task comes on stdin, the answer on stdout."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from creator import write
from designer import lay_out
from editor import edit
from planner import NotesUnclear, plan

Values = dict[str, Any]
Work = Callable[[dict[str, str], Values], tuple[Values, dict[str, str]]]

MEMBERS: dict[str, Work] = {"plan": plan, "write": write, "edit": edit, "lay_out": lay_out}
MEDIA_TYPES = {
    "outline": "application/json",
    "feedback": "application/json",
    "text": "text/markdown",
    "page": "text/html",
}


def main() -> None:
    task = json.load(sys.stdin)
    inputs = {name: Path(given["path"]).read_text(encoding="utf-8") for name, given in task["inputs"].items()}
    try:
        result, outputs = MEMBERS[sys.argv[1]](inputs, task.get("parameters") or {})
    except NotesUnclear as error:
        print(json.dumps({"ok": False, "error": str(error)}))
        raise SystemExit(1) from error
    texts = {name: {"text": text, "media_type": MEDIA_TYPES.get(name, "text/plain")} for name, text in outputs.items()}
    print(json.dumps({"ok": True, "result": result, "outputs": texts}))


if __name__ == "__main__":
    main()
