"""What holds for the roster whatever happens, in any order."""

import os
import random
import subprocess
import sys
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.testing import NOW_MS
from bus.testing import given as after
from services.records.task import TaskAssigned
from services.router.roster import ROSTER
from tests.services.router.roster_cases import assigned, changed, completed, queued, requested
from tests.services.router.roster_world import play

ROOT = Path(__file__).parents[3]

many = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@many
@given(st.integers(0, 2**32), st.integers(1, 80))
def test_every_choice_is_that_of_brute_force_and_no_slot_is_used_twice(seed: int, steps: int) -> None:
    play(random.Random(seed), steps)


@many
@given(st.integers(0, 2**32), st.integers(1, 80))
def test_every_attempt_has_exactly_one_end_when_all_instances_answer(seed: int, steps: int) -> None:
    world = play(random.Random(seed), steps)
    world.come_to_rest()
    ends = {name: one.ends for name, one in world.tries.items()}
    assert all(len(end) == 1 for end in ends.values()), ends
    (roster,) = [world.roster.state.of("w")]
    assert (len(roster.attempts), roster.waiting, roster.doomed) == (0, 0, ())
    assert not any(name.startswith(("timeout", "queue")) for name, _ in ROSTER.deadlines(world.roster.state))


@many
@given(st.integers(0, 2**32), st.integers(1, 80))
def test_the_fold_of_what_was_said_is_the_state(seed: int, steps: int) -> None:
    world = play(random.Random(seed), steps)
    assert world.retold() == world.roster.state


def test_the_worlds_are_full_of_life() -> None:
    """Otherwise the tests above would hold because nothing happens."""
    said = {type(fact).__name__ for seed in range(80) for fact, _ in play(random.Random(seed), 80).story}
    assert said == {kind.__name__ for kind in ROSTER.says} - {"AssignmentsDeferred", "CrewSized", "WorkspaceBudgeted"}


def test_the_hash_seed_changes_nothing() -> None:
    program = (
        "import random; from tests.services.router.roster_world import play; "
        "print(*[play(random.Random(seed), 120).digest() for seed in range(6)])"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0]
    assert told[0] == told[1]


def test_nobody_starves_under_a_stream_of_higher_priority() -> None:
    roster = after(ROSTER, changed(), assigned("running"), queued("low"))
    running = "running"
    for second in range(1, 120):
        roster.at(NOW_MS + 1_000 * second).when(requested(f"high-{second}", priority=5))
        roster.when(completed(running))
        (fact,) = [fact for fact in roster.facts if isinstance(fact, TaskAssigned)]
        running = fact.attempt_id
        if running == "low":
            break
    # 5 points of priority are worth 50 s; of two equals the one that has waited longer is first.
    assert second == 50
