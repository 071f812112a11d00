"""Measures how well and how fast tasks are matched with professions: accuracy, confusion, coverage, and time.

    python bench/routing.py [DEV.jsonl] [--json]

The development file is `{"id", "text", "lang", "accept": [profession ids]}` a line; without one, what needs it is left
out. Three figures need no such file: tasks that were written apart from the professions and never looked at since,
shipped examples held out fold by fold, and skills declared in other words. Times are of the processor.
"""

import argparse
import hashlib
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from services.definitions.catalogue import Catalogue, shipped_catalogue  # noqa: E402
from services.definitions.profession import Examples, Profession  # noqa: E402
from services.definitions.profession_shorthand import language_of  # noqa: E402
from services.router.index import Index, build_index  # noqa: E402
from services.router.matching import Match, match_task  # noqa: E402

DEV = ROOT.parent / "shared" / "data" / "routing" / "dev.jsonl"
SKILLS = ROOT / "tests" / "services" / "router" / "declared_skills.tsv"
HELD_OUT = ROOT / "tests" / "services" / "router" / "held_out.tsv"
FOLDS = 5
INSTANCES = 1_000
COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A task whose right professions are known, and how it was matched."""

    language: str
    accept: tuple[str, ...]
    match: Match

    @property
    def first(self) -> str:
        """The profession that was ranked first."""
        return self.match.ranked[0].profession

    @property
    def right(self) -> bool:
        """Whether the first is right."""
        return self.first in self.accept

    @property
    def right_in_three(self) -> bool:
        """Whether one of the first three is right."""
        return any(one.profession in self.accept for one in self.match.ranked[:3])


def summarise(outcomes: list[Outcome]) -> dict[str, Any]:
    """Accuracy of all, of those accepted, and precision at several coverages."""
    accepted = [one for one in outcomes if one.match.accepted]
    surest = sorted(outcomes, key=lambda one: -one.match.certainty)
    curve = {f"{share:.0%}": _share(one.right for one in surest[: round(len(surest) * share)]) for share in COVERAGES}
    return {
        "tasks": len(outcomes),
        "top_1": _share(one.right for one in outcomes),
        "top_3": _share(one.right_in_three for one in outcomes),
        "accepted": _share(one.match.accepted for one in outcomes),
        "right_of_accepted": _share(one.right for one in accepted),
        "precision_at_coverage": curve,
    }


def summarise_by_profession(outcomes: list[Outcome]) -> dict[str, Any]:
    """For each profession and language, how many tasks it may do and how many of those were matched right."""
    groups: defaultdict[str, defaultdict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for one in outcomes:
        for profession in one.accept:
            groups[profession][one.language].append(one.right)
    return {
        profession: {language: {"tasks": len(got), "top_1": _share(got)} for language, got in sorted(by.items())}
        for profession, by in sorted(groups.items())
    }


def confuse(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """Which profession was taken for which, the most frequent first."""
    pairs = Counter((one.language, "|".join(one.accept), one.first) for one in outcomes if not one.right)
    ordered = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
    return [{"lang": lang, "right": right, "taken": taken, "times": n} for (lang, right, taken), n in ordered]


def match_file(path: Path, index: Index) -> list[Outcome]:
    """Match every task of a development file."""
    outcomes = []
    for line in path.read_text(encoding="utf-8").splitlines():
        task = json.loads(line)
        match = match_task(index, text=task["text"])
        outcomes.append(Outcome(language=task["lang"], accept=tuple(task["accept"]), match=match))
    return outcomes


def match_held_out(catalogue: Catalogue, folds: Iterable[int] = range(FOLDS)) -> list[Outcome]:
    """Match each shipped example of these folds by an index that was made without its fold."""
    outcomes = []
    for fold in folds:
        index = build_index(_without_fold(profession, fold) for profession in catalogue)
        for profession in catalogue:
            for text in (*profession.examples.zh, *profession.examples.en):
                if _fold_of(text) == fold:
                    match = match_task(index, text=text)
                    outcomes.append(Outcome(language=language_of(text), accept=(profession.id,), match=match))
    return outcomes


def match_tasks(index: Index) -> list[Outcome]:
    """Match the tasks that were written apart from the professions."""
    outcomes = []
    for line in HELD_OUT.read_text(encoding="utf-8").splitlines():
        profession, text = line.split("\t")
        outcomes.append(Outcome(language=language_of(text), accept=(profession,), match=match_task(index, text=text)))
    return outcomes


def match_skills(index: Index) -> list[Outcome]:
    """Match three declared skills at a time, in other words than the profession's."""
    outcomes = []
    for line in SKILLS.read_text(encoding="utf-8").splitlines():
        profession, skills = line.split("\t")
        match = match_task(index, skills=skills.split("; "))
        outcomes.append(Outcome(language=language_of(skills), accept=(profession,), match=match))
    return outcomes


def measure_times(catalogue: Catalogue) -> dict[str, float]:
    """Milliseconds to make an index, and to match a task and choose one of a thousand instances."""
    texts = [text for profession in catalogue for text in (*profession.examples.zh[:8], *profession.examples.en[:8])]
    started = time.process_time()
    index = build_index(catalogue)
    built = time.process_time()
    many = build_index(_synthetic(catalogue))
    return {
        "index_ms": (built - started) * 1_000,
        "match_ms_at_1000_instances": _time_per_task(index, texts),
        "match_ms_at_1000_professions": _time_per_task(many, texts),
    }


def _time_per_task(index: Index, texts: list[str]) -> float:
    instances = [(index.ids[number % len(index.ids)], number * 7919 % 1000) for number in range(INSTANCES)]
    started = time.process_time()
    for text in texts:
        points = {one.profession: one.points for one in match_task(index, text=text).ranked}
        max(instances, key=lambda instance: (points[instance[0]], -instance[1]))
    return (time.process_time() - started) * 1_000 / len(texts)


def _synthetic(catalogue: Catalogue) -> Iterator[Profession]:
    shipped = catalogue.professions
    for number in range(INSTANCES):
        model = shipped[number % len(shipped)]
        start = number // len(shipped)
        examples = Examples(zh=model.examples.zh[start : start + 8], en=model.examples.en[start : start + 8])
        yield model.model_copy(update={"id": f"{model.id}_{number}", "examples": examples})


def _without_fold(profession: Profession, fold: int) -> Profession:
    zh = tuple(text for text in profession.examples.zh if _fold_of(text) != fold)
    en = tuple(text for text in profession.examples.en if _fold_of(text) != fold)
    return profession.model_copy(update={"examples": Examples(zh=zh, en=en)})


def _fold_of(text: str) -> int:
    return hashlib.sha256(text.encode()).digest()[0] % FOLDS


def _share(values: Iterable[bool]) -> float:
    listed = list(values)
    return round(sum(listed) / len(listed), 4) if listed else 0.0


def _by_language(outcomes: list[Outcome]) -> dict[str, Any]:
    parts = {"all": outcomes}
    parts |= {language: [one for one in outcomes if one.language == language] for language in ("en", "zh")}
    return {name: summarise(part) for name, part in parts.items()}


def measure(dev: Path) -> dict[str, Any]:
    """Everything that is measured."""
    catalogue = shipped_catalogue()
    index = build_index(catalogue)
    held_out = match_held_out(catalogue)
    figures: dict[str, Any] = {
        "tasks_apart": _by_language(match_tasks(index)),
        "held_out_examples": _by_language(held_out),
        "held_out_by_profession": summarise_by_profession(held_out),
        "held_out_confusion": confuse(held_out),
        "declared_skills": _by_language(match_skills(index)),
        "times": measure_times(catalogue),
    }
    if dev.is_file():
        outcomes = match_file(dev, index)
        figures["development"] = _by_language(outcomes)
        figures["by_profession"] = summarise_by_profession(outcomes)
        figures["confusion"] = confuse(outcomes)
    return figures


def show(figures: dict[str, Any]) -> None:
    """Print the figures as tables."""
    for name in ("development", "tasks_apart", "held_out_examples", "declared_skills"):
        for language, part in figures.get(name, {}).items():
            curve = "  ".join(f"{share} {value:.1%}" for share, value in part["precision_at_coverage"].items())
            print(
                f"{name:18} {language:4} {part['tasks']:5} tasks  top-1 {part['top_1']:.1%}  top-3 {part['top_3']:.1%}"
            )
            print(f"{'':24} accepted {part['accepted']:.1%}, of these right {part['right_of_accepted']:.1%}; {curve}")
    for profession, by in figures.get("by_profession", {}).items():
        shown = "  ".join(f"{language} {got['top_1']:.0%} of {got['tasks']}" for language, got in by.items())
        print(f"{profession:20} {shown}")
    for pair in figures.get("confusion", []):
        print(f"{pair['times']:3} {pair['lang']}  {pair['right']} taken for {pair['taken']}")
    for name, value in figures["times"].items():
        print(f"{name:30} {value:.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dev", nargs="?", type=Path, default=DEV, help="development file (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    figures = measure(arguments.dev)
    if arguments.json:
        print(json.dumps(figures, ensure_ascii=False))
    else:
        show(figures)


if __name__ == "__main__":
    main()
