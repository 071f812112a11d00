"""The clerk as a program: writes minutes from notes, and makes a page and a calendar of them."""

import json
import re
import sys
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

Work = Callable[[dict[str, str]], tuple[dict[str, Any], dict[str, str]]]
TASK = re.compile(r"(?P<who>\S+) (?P<what>.+) by (?P<day>\d{4}-\d{2}-\d{2})")


class NotesUnclear(Exception):
    """The notes cannot be made into minutes; the message says why."""


def write(inputs: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    lines = [line.strip() for line in inputs["notes"].splitlines()]
    heads = {name: _value(lines, name) for name in ("Meeting", "Date", "Present")}
    decisions = [line.partition(":")[2].strip() for line in lines if line.startswith("decision:")]
    tasks = [_task(line) for line in lines if line.startswith("task:")]
    present = [name.strip() for name in heads["Present"].split(",")]
    for task in tasks:
        if task["who"] not in present:
            raise NotesUnclear(f"{task['who']} has a task and was not present")
    said = {
        "title": heads["Meeting"],
        "date": heads["Date"],
        "present": present,
        "decisions": decisions,
        "tasks": tasks,
    }
    if "feedback" in inputs:
        said["remark"] = inputs["feedback"].strip()
    return {"tasks": len(tasks)}, {"draft": json.dumps(said, ensure_ascii=False)}


def _value(lines: list[str], name: str) -> str:
    found = [line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:")]
    if not found:
        raise NotesUnclear(f"the notes have no line `{name}:`")
    return found[0]


def _task(line: str) -> dict[str, str]:
    found = TASK.fullmatch(line.partition(":")[2].strip())
    if found is None:
        raise NotesUnclear(f"`{line}` is not `task: NAME does something by YYYY-MM-DD`")
    return found.groupdict()


def publish(inputs: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    said = json.loads(inputs["draft"])
    rows = "".join(
        f"<tr><td>{escape(task['who'])}</td><td>{escape(task['what'])}</td><td>{task['day']}</td></tr>"
        for task in sorted(said["tasks"], key=lambda task: str(task["day"]))
    )
    decisions = "".join(f"<li>{escape(text)}</li>" for text in said["decisions"])
    remark = f"<p><em>{escape(said['remark'])}</em></p>" if "remark" in said else ""
    page = (
        f'<!doctype html><meta charset="utf-8"><title>{escape(said["title"])}</title>'
        "<style>body{font:16px/1.6 system-ui;max-width:42rem;margin:2rem auto}td{padding:.2rem 1rem .2rem 0}</style>"
        f"<h1>{escape(said['title'])}, {escape(said['date'])}</h1><p>Present: {escape(', '.join(said['present']))}</p>"
        f"{remark}<h2>Decided</h2><ol>{decisions}</ol><h2>Who does what</h2><table>{rows}</table>\n"
    )
    return {"tasks": len(said["tasks"])}, {"page": page, "calendar": _calendar(said)}


def _calendar(said: dict[str, Any]) -> str:
    """A calendar that any calendar program opens: a day for each task."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//minutes//EN"]
    for number, task in enumerate(said["tasks"]):
        day = task["day"].replace("-", "")
        text = f"{task['who']} {task['what']}".replace("\\", "\\\\").replace(",", "\\,").replace(";", "\\;")
        uid = f"{said['date']}-{number}@minutes"
        stamp = said["date"].replace("-", "") + "T000000Z"
        lines += ["BEGIN:VEVENT", f"UID:{uid}", f"DTSTAMP:{stamp}", f"DTSTART;VALUE=DATE:{day}", f"SUMMARY:{text}"]
        lines.append("END:VEVENT")
    return "\r\n".join([*lines, "END:VCALENDAR"]) + "\r\n"


WORKS: dict[str, Work] = {"write": write, "publish": publish}
MEDIA_TYPES = {"draft": "application/json", "page": "text/html", "calendar": "text/calendar"}


def main() -> None:
    task = json.load(sys.stdin)
    inputs = {name: Path(given["path"]).read_text(encoding="utf-8") for name, given in task["inputs"].items()}
    try:
        result, outputs = WORKS[sys.argv[1]](inputs)
    except NotesUnclear as error:
        print(json.dumps({"ok": False, "error": str(error)}))
        raise SystemExit(1) from error
    texts = {name: {"text": text, "media_type": MEDIA_TYPES[name]} for name, text in outputs.items()}
    print(json.dumps({"ok": True, "result": result, "outputs": texts}))


if __name__ == "__main__":
    main()
