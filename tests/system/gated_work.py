"""The program of a `command` stage that says that it has begun and ends its work only when its gate is open.

It runs as a worker's child, with nothing but the standard library.
"""

import fcntl
import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Read the task, wait at the gate, write the outputs, answer."""
    task = json.load(sys.stdin)
    place = Path(task["parameters"]["gate"])
    begun = {"attempt_id": task["attempt_id"], "pid": os.getpid(), "worker": os.getppid(), "directory": str(Path.cwd())}
    with place.with_suffix(".begun").open("a") as file:
        file.write(json.dumps(begun) + "\n")
    with place.open() as gate:
        fcntl.flock(gate, fcntl.LOCK_SH)  # no polling: whoever holds the gate shut holds its lock
    for name, output in task["outputs"].items():
        Path(output["path"]).write_text(f"{name} by {task['attempt_id']}")
    sys.stdout.write(json.dumps({"ok": True, "result": {"attempt_id": task["attempt_id"]}}) + "\n")


if __name__ == "__main__":
    main()
