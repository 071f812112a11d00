"""The data team as a program: the argument says who works, the task comes on stdin, the answer on stdout."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analyst import analyse
from auditor import audit
from engineer import TableUnreadable, clean
from reporter import report

Work = Callable[[dict[str, str]], tuple[dict[str, Any], dict[str, str]]]

MEMBERS: dict[str, Work] = {"clean": clean, "analyse": analyse, "audit": audit, "report": report}
MEDIA_TYPES = {
    **dict.fromkeys(("table", "rejects"), "text/csv"),
    **dict.fromkeys(("findings", "quality"), "application/json"),
    "chart": "image/svg+xml",
    "report": "text/html",
}


def main() -> None:
    task = json.load(sys.stdin)
    inputs = {name: Path(given["path"]).read_text(encoding="utf-8-sig") for name, given in task["inputs"].items()}
    try:
        result, outputs = MEMBERS[sys.argv[1]](inputs)
    except TableUnreadable as error:
        print(json.dumps({"ok": False, "error": str(error)}))
        raise SystemExit(1) from error
    texts = {name: {"text": text, "media_type": MEDIA_TYPES.get(name, "text/plain")} for name, text in outputs.items()}
    print(json.dumps({"ok": True, "result": result, "outputs": texts}))


if __name__ == "__main__":
    main()
