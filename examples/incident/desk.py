"""The desk as a program: the argument says who works, the task comes on stdin, the answer on stdout."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inspection import find_bad_minutes, find_paths, find_suspects
from reading import LogUnreadable, read_log
from reporting import judge, write_report

Values = dict[str, Any]
Work = Callable[[dict[str, str], Values], tuple[Values, dict[str, str]]]

MEMBERS: dict[str, Work] = {
    "read": read_log,
    "minutes": find_bad_minutes,
    "paths": find_paths,
    "guard": find_suspects,
    "judge": judge,
    "report": write_report,
}


def main() -> None:
    task = json.load(sys.stdin)
    inputs = {name: Path(given["path"]).read_text(encoding="utf-8") for name, given in task["inputs"].items()}
    try:
        result, outputs = MEMBERS[sys.argv[1]](inputs, task.get("parameters") or {})
    except LogUnreadable as error:
        print(json.dumps({"ok": False, "error": str(error)}))
        raise SystemExit(1) from error
    kinds = {name: "text/markdown" if name == "report" else "application/json" for name in outputs}
    texts = {name: {"text": text, "media_type": kinds[name]} for name, text in outputs.items()}
    print(json.dumps({"ok": True, "result": result, "outputs": texts}))


if __name__ == "__main__":
    main()
