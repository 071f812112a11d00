"""The research team as a program: the argument says who works, the task comes on stdin, the answer on stdout."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analyst import analyse
from author import publish
from experimenter import experiment
from researcher import QuestionUnclear, plan

Work = Callable[[dict[str, str]], tuple[dict[str, Any], dict[str, str]]]

MEMBERS: dict[str, Work] = {"plan": plan, "experiment": experiment, "analyse": analyse, "publish": publish}


def main() -> None:
    task = json.load(sys.stdin)
    inputs = {name: Path(given["path"]).read_text(encoding="utf-8") for name, given in task["inputs"].items()}
    try:
        result, outputs = MEMBERS[sys.argv[1]](inputs)
    except QuestionUnclear as error:
        print(json.dumps({"ok": False, "error": str(error)}))
        raise SystemExit(1) from error
    kinds = {name: "text/html" if name == "article" else "application/json" for name in outputs}
    texts = {name: {"text": text, "media_type": kinds[name]} for name, text in outputs.items()}
    print(json.dumps({"ok": True, "result": result, "outputs": texts}))


if __name__ == "__main__":
    main()
