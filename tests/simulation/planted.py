"""Bugs that are switched on only here: each takes one rule of the bus away, and some check must miss it.

`python -m tests.simulation.planted [NAME] [SEEDS]` tells after how many seeds each is caught, and by which check.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from tests.simulation import planted_posts, planted_recovery, planted_sessions
from tests.simulation.bank import run_world
from tests.simulation.weather import LATE, SLOW, STORMS

Seam = tuple[Any, str, Any]
"""Whose attribute is replaced, its name, and by what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """A rule taken away, and the invariants of which at least one then breaks."""

    meaning: str
    seams: Callable[[], tuple[Seam, ...]]
    breaks: frozenset[str]


def _bugs(module: Any) -> Iterator[tuple[str, Bug]]:
    for name, (meaning, breaks, seams) in module.BUGS.items():
        yield name, Bug(meaning=meaning, seams=seams, breaks=frozenset(breaks.split()))


BUGS: dict[str, Bug] = dict(
    pair for module in (planted_sessions, planted_recovery, planted_posts) for pair in _bugs(module)
)


WEATHERS = {"session_goes_on": LATE, "joined_late": SLOW}
"""Of those that seldom go wrong in the usual storms."""


@contextmanager
def planted(name: str) -> Iterator[None]:
    """With this bug in the bus."""
    with ExitStack() as stack:
        for owner, attribute, broken in BUGS[name].seams():
            stack.enter_context(patch.object(owner, attribute, broken))
        yield


def caught(name: str, seeds: int) -> tuple[int, list[str]]:
    """The first seed in which anything is wrong, and what; -1 if nothing is."""
    storms = WEATHERS.get(name, STORMS)
    with planted(name):
        for seed in range(seeds):
            if wrong := run_world(seed, storms).wrong:
                return seed, wrong
    return -1, []


def main(arguments: list[str]) -> int:
    """Print a line for each bug; the number of those that nobody missed is the exit code."""
    names = [arguments[0]] if arguments else sorted(BUGS)
    seeds = int(arguments[1]) if len(arguments) > 1 else 100
    missed = 0
    for name in names:
        seed, wrong = caught(name, seeds)
        missed += seed < 0
        checks = sorted({problem.partition(":")[0] for problem in wrong})
        told = f"seed {seed:3} {' '.join(checks):24} {wrong[0]}" if wrong else f"NOT CAUGHT in {seeds} seeds"
        sys.stdout.write(f"{name:26} {told}\n")
        sys.stdout.flush()
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
