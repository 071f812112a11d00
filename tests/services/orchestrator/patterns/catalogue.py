"""The 43 control-flow patterns of van der Aalst, ter Hofstede, Russell and Mulyar, and why some are left out."""

from collections.abc import Callable
from typing import TypeVar

NAMES = {
    1: "Sequence", 2: "Parallel Split", 3: "Synchronization", 4: "Exclusive Choice", 5: "Simple Merge",
    6: "Multi-Choice", 7: "Structured Synchronizing Merge", 8: "Multi-Merge", 9: "Structured Discriminator",
    10: "Arbitrary Cycles", 11: "Implicit Termination", 12: "Multiple Instances without Synchronization",
    13: "Multiple Instances with a Priori Design-Time Knowledge",
    14: "Multiple Instances with a Priori Run-Time Knowledge",
    15: "Multiple Instances without a Priori Run-Time Knowledge", 16: "Deferred Choice",
    17: "Interleaved Parallel Routing", 18: "Milestone", 19: "Cancel Task", 20: "Cancel Case", 21: "Structured Loop",
    22: "Recursion", 23: "Transient Trigger", 24: "Persistent Trigger", 25: "Cancel Region",
    26: "Cancel Multiple Instance Activity", 27: "Complete Multiple Instance Activity", 28: "Blocking Discriminator",
    29: "Cancelling Discriminator", 30: "Structured Partial Join", 31: "Blocking Partial Join",
    32: "Cancelling Partial Join", 33: "Generalised AND-Join", 34: "Static Partial Join for Multiple Instances",
    35: "Cancelling Partial Join for Multiple Instances", 36: "Dynamic Partial Join for Multiple Instances",
    37: "Local Synchronizing Merge", 38: "General Synchronizing Merge", 39: "Critical Section",
    40: "Interleaved Routing", 41: "Thread Merge", 42: "Thread Split", 43: "Explicit Termination",
}  # fmt: skip

LEFT_OUT = {
    15: "a map's list is read once, so that its end is certain; a loop around the map goes through what came later",
    22: "a workflow that contains itself is refused, so that the stages of a run are bounded before it starts",
    27: "a map that is cancelled counts as skipped; nothing says that it completed without its last items",
    34: "a map completes with its last item; items that may fail are passed over with `on_error: skip`",
    35: "as 34: no item of a map makes the others needless",
    36: "as 15 and 34",
    41: "tokens of one branch are never counted into one; a map with `collect` splits and gathers in one stage",
    42: "a branch carries one token at a time; a map makes many executions out of one",
}
"""What a run cannot do, with the reason and what to write instead."""

SHOWN: set[int] = set()
"""The numbers that tests have claimed, filled as their modules are imported."""

Test = TypeVar("Test", bound=Callable[..., None])


def pattern(*numbers: int) -> Callable[[Test], Test]:
    """Says which patterns a test shows."""
    assert set(numbers) <= NAMES.keys()
    SHOWN.update(numbers)
    return lambda test: test
