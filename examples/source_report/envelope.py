"""The two ends of a command agent: its task as JSON on stdin, its answer as the last line of stdout."""

import json
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Result = Mapping[str, Any]


class CannotWork(Exception):
    """The task cannot be done as given; the message is for the person who started the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What the worker asks for: files to read and places to write, each by the name of its artifact."""

    inputs: Mapping[str, Path]
    outputs: Mapping[str, Path]
    parameters: Mapping[str, Any]
    written: dict[str, dict[str, str]] = field(default_factory=dict)  # the outputs as the answer has them

    def read_bytes(self, name: str) -> bytes:
        if name not in self.inputs:
            raise CannotWork(f"the input {name!r} is missing; there are: {', '.join(sorted(self.inputs)) or 'none'}")
        return self.inputs[name].read_bytes()

    def read_text(self, name: str) -> str:
        return self.read_bytes(name).decode()

    def read_json(self, name: str) -> Any:
        try:
            return json.loads(self.read_text(name))
        except json.JSONDecodeError as error:
            raise CannotWork(f"the input {name!r} is not JSON: {error}") from error

    def write_text(self, name: str, text: str, media_type: str = "text/plain") -> None:
        path = self.outputs[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self.written[name] = {"path": str(path), "media_type": media_type}

    def write_json(self, name: str, value: object) -> None:
        self.write_text(name, json.dumps(value, ensure_ascii=False, indent=1) + "\n", "application/json")


def read_task(text: str) -> Task:
    """Read the envelope; what it carries beyond the three parts is of no use to these programs."""
    envelope = json.loads(text)
    return Task(
        inputs={name: Path(given["path"]) for name, given in envelope["inputs"].items()},
        outputs={name: Path(place["path"]) for name, place in envelope["outputs"].items()},
        parameters=envelope.get("parameters") or {},
    )


def report_progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def perform(work: Callable[[Task], Result]) -> None:
    """Read the task, do the work, answer. Ends the process: 0 done, 1 failed, and the answer says the same."""
    task = read_task(sys.stdin.read())
    try:
        result = work(task)
    except CannotWork as error:
        _answer({"ok": False, "error": str(error)})
        raise SystemExit(1) from error
    except Exception as error:
        traceback.print_exc()
        _answer({"ok": False, "error": f"{type(error).__name__}: {error}"})
        raise SystemExit(1) from error
    _answer({"ok": True, "result": result, "outputs": task.written})


def _answer(answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer), flush=True)
