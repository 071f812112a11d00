"""The office as a program: reads the list, writes one letter, binds all of them."""

import csv
import io
import json
import sys
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

Work = Callable[[dict[str, str]], tuple[dict[str, Any], dict[str, str]]]
COLUMNS = {"name", "language", "since", "paid", "due"}
YEAR = 2025


class ListUnreadable(Exception):
    """The list of members cannot be used; the message says why."""


def read_list(inputs: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    rows = list(csv.DictReader(io.StringIO(inputs["members"])))
    if not rows or not set(rows[0]) >= COLUMNS:
        raise ListUnreadable(f"the list needs the columns {', '.join(sorted(COLUMNS))} and a member")
    for number, row in enumerate(rows, 2):
        if not (row["since"] or "").isdecimal() or not (row["due"] or "").isdecimal():
            raise ListUnreadable(f"line {number}: since and due are whole numbers")
    return {"members": len(rows)}, {"people": json.dumps(rows, ensure_ascii=False)}


def write_letter(inputs: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    person = json.loads(inputs["person"])
    owes = int(person["due"]) > 0 and not person["paid"]
    lines = _in_chinese(person, owes) if person["language"] == "zh" else _in_english(person, owes)
    return {"owes": owes}, {"letter": "\n\n".join(lines) + "\n"}


def _in_english(person: dict[str, str], owes: bool) -> list[str]:
    years = YEAR - int(person["since"])
    thanks = f"you have been with us for {years} years" if years > 1 else "welcome to your first full year with us"
    money = (
        f"The fee of {person['due']} euros for {YEAR} has not reached us yet; please send it by the end of the month."
        if owes
        else "Nothing is left to pay this year."
    )
    return [f"Dear {person['name']},", f"{thanks[0].upper()}{thanks[1:]}. Thank you.", money, "The society"]


def _in_chinese(person: dict[str, str], owes: bool) -> list[str]:
    years = YEAR - int(person["since"])
    money = f"您 {YEAR} 年的会费 {person['due']} 欧元尚未到账，请于月底前缴纳。" if owes else "今年的会费已经结清。"
    return [f"{person['name']}，您好！", f"您加入本会已经 {years} 年，感谢您的支持。", money, "学会"]


def bind(inputs: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    letters = json.loads(inputs["letters"])
    sheets = []
    for letter in letters:
        paragraphs = "".join(f"<p>{escape(part)}</p>" for part in letter.strip().split("\n\n"))
        sheets.append(f"<section>{paragraphs}</section>")
    style = "section{page-break-after:always;max-width:34rem;margin:4rem auto;font:17px/1.7 Georgia,serif}"
    page = f'<!doctype html><meta charset="utf-8"><title>Letters</title><style>{style}</style>{"".join(sheets)}\n'
    return {"letters": len(letters)}, {"print": page}


WORKS: dict[str, Work] = {"list": read_list, "write": write_letter, "bind": bind}
MEDIA_TYPES = {"people": "application/json", "letter": "text/plain", "print": "text/html"}


def main() -> None:
    task = json.load(sys.stdin)
    inputs = {name: Path(given["path"]).read_text(encoding="utf-8-sig") for name, given in task["inputs"].items()}
    try:
        result, outputs = WORKS[sys.argv[1]](inputs)
    except ListUnreadable as error:
        print(json.dumps({"ok": False, "error": str(error)}))
        raise SystemExit(1) from error
    texts = {name: {"text": text, "media_type": MEDIA_TYPES[name]} for name, text in outputs.items()}
    print(json.dumps({"ok": True, "result": result, "outputs": texts}))


if __name__ == "__main__":
    main()
