"""The software team as a program: the argument says who works, the task comes on stdin, the answer on stdout."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from architect import design
from developer import develop
from product_manager import SpecificationUnclear, specify
from tester import test

Inputs = dict[str, str]
Work = Callable[[Inputs], tuple[dict[str, Any], dict[str, str]]]

MEMBERS: dict[str, Work] = {"specify": specify, "design": design, "develop": develop, "test": test}
MEDIA_TYPES = {
    **dict.fromkeys(("requirements", "design", "feedback"), "application/json"),
    **dict.fromkeys(("module", "tests"), "text/x-python"),
}


def main() -> None:
    task = json.load(sys.stdin)
    inputs = {name: Path(given["path"]).read_text(encoding="utf-8") for name, given in task["inputs"].items()}
    try:
        result, outputs = MEMBERS[sys.argv[1]](inputs)
    except SpecificationUnclear as error:
        print(json.dumps({"ok": False, "error": str(error)}))
        raise SystemExit(1) from error
    texts = {name: {"text": text, "media_type": MEDIA_TYPES.get(name, "text/plain")} for name, text in outputs.items()}
    print(json.dumps({"ok": True, "result": result, "outputs": texts}))


if __name__ == "__main__":
    main()
