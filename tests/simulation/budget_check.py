"""The law of budgets, folded from the raw log by code that shares nothing with the role: nothing is promised twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from tests.simulation.bank_lines import Line

UNITS = ("tokens", "cost_micros")


class Books:
    """What is spent and promised of each subject, as the facts of allocator.budgets say one after the other."""

    def __init__(self) -> None:
        self.limits: dict[str, tuple[int, int]] = {}
        self.spent: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        self.promised: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        self.open: dict[str, Mapping[str, Any]] = {}
        self.ends: Counter[str] = Counter()
        self.told: set[tuple[str, str, int]] = set()
        self.closed: set[str] = set()
        self.wrong: list[str] = []

    def limit(self, subject: str) -> tuple[int, int]:
        return self.limits.get(subject, self.limits.get(subject.split(":", maxsplit=1)[0] + ":*", (-1, -1)))

    def take(self, line: Line) -> None:
        body = line.body
        match line.type:
            case "BudgetSet":
                self.limits[body["subject"]] = (body["tokens"], body["cost_micros"])
                self.told = {told for told in self.told if told[0] != body["subject"]}
            case "TrancheGranted":
                self._grant(line, body)
            case "TrancheSettled":
                self._settle(line, body)
            case "TrancheRefused":
                self._refuse(line, body)
            case "BudgetCrossed":
                self._cross(line, body)
            case "BudgetClosed":
                self.spent.pop(body["subject"], None)
                self.closed.add(body["subject"])

    def _grant(self, line: Line, body: Mapping[str, Any]) -> None:
        if body["attempt_id"] in self.open or self.ends[body["attempt_id"]]:
            self.wrong.append(f"{line.at}: {body['attempt_id']} gets a tranche while it has one, or is over")
        self.open[body["attempt_id"]] = body
        for subject in body["subjects"]:
            for at, unit in enumerate(UNITS):
                self.promised[subject][at] += max(0, body[unit])
                most, used = self.limit(subject)[at], self.spent[subject][at] + self.promised[subject][at]
                if most >= 0 and used > most and body[unit] != 0:
                    self.wrong.append(f"{line.at}: {subject} has {used} of {most} {unit} spent or promised")

    def _settle(self, line: Line, body: Mapping[str, Any]) -> None:
        name = body["attempt_id"]
        granted = self.open.pop(name, None)
        for subject in granted["subjects"] if granted else ():
            for at, unit in enumerate(UNITS):
                self.promised[subject][at] -= max(0, granted[unit]) if granted else 0
        for subject in body["subjects"]:
            for at, unit in enumerate(UNITS):
                self.spent[subject][at] += body[unit]
        for unit in UNITS:
            if granted and not body["reported"] and body[unit] < granted[unit]:
                self.wrong.append(f"{line.at}: nobody accounted for {name}, and yet less than its tranche is spent")
        self.ends[name] += body["final"]

    def _refuse(self, line: Line, body: Mapping[str, Any]) -> None:
        limits = zip(self.limit(body["subject"]), self.spent[body["subject"]], strict=True)
        if not any(0 <= most <= used for most, used in limits):
            self.wrong.append(f"{line.at}: {body['subject']} is refused something, and has some left")
        if body["attempt_id"] in self.open:
            self.wrong.append(f"{line.at}: {body['attempt_id']} is refused while it holds a tranche")
        self.ends[body["attempt_id"]] += 1

    def _cross(self, line: Line, body: Mapping[str, Any]) -> None:
        level = (body["subject"], body["unit"], body["percent"])
        if level in self.told or body["spent"] * 100 < body["percent"] * body["limit"]:
            self.wrong.append(f"{line.at}: {level} is told twice, or was not reached")
        if body["spent"] != self.spent[body["subject"]][UNITS.index(body["unit"])]:
            self.wrong.append(f"{line.at}: {level} says {body['spent']} are spent")
        self.told.add(level)


def fold(facts: Iterable[Line]) -> Books:
    """The books after these facts, in the order of their log."""
    books = Books()
    for line in facts:
        if line.role == "allocator.budgets":
            books.take(line)
    return books


def problems(facts: list[Line], budgeted: Iterable[str]) -> list[str]:
    """All that is wrong once everything is quiet."""
    books = fold(facts)
    wrong = books.wrong
    for name in budgeted:
        if books.ends[name] != 1:
            wrong.append(f"end: {name} has {books.ends[name]} ends")
    if books.open:
        wrong.append(f"quiet: nobody has accounted for {sorted(books.open)}")
    for subject, amounts in books.promised.items():
        if any(amounts):
            wrong.append(f"quiet: {subject} has {amounts} promised to nobody")
    return wrong
