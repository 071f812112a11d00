"""What the command line of every simulated world does with its seeds."""

import sys
from collections.abc import Callable, Sequence


def report_seeds(argument: str, wrong_with: Callable[[int], Sequence[str]]) -> int:
    """Print what is wrong with each seed of FIRST[:LAST] that fails; the number of those is the exit code."""
    first, _, last = argument.partition(":")
    failures = 0
    for seed in range(int(first), int(last or int(first) + 1)):
        wrong = wrong_with(seed)
        failures += bool(wrong)
        for problem in wrong:
            sys.stdout.write(f"seed {seed}: {problem}\n")
    sys.stdout.write(f"{failures} seeds failed\n")
    return min(failures, 100)
