"""Messages and schedules under seeded faults. `python -m tests.simulation.town FIRST[:LAST]` runs other seeds."""

from collections import Counter

import pytest

from tests.simulation.town import COMMAND, run_town
from tests.simulation.town_check import admitted

SEEDS = 500
BLOCK = 50
PROVED = (
    *("MessageSent", "MessageAcknowledged", "MessageExpired", "MessageRefused", "CorrespondentChanged"),
    *("ScheduleCreated", "ScheduleChanged", "ScheduledRunRequested", "ScheduledRunQueued", "ScheduledRunSkipped"),
    *("ScheduledRunCancelled", "ScheduledRunEnded", "Heard"),
)


@pytest.mark.parametrize("block", range(SEEDS // BLOCK))
def test_messages_and_schedules_hold_in_bad_weather(block: int) -> None:
    said: Counter[str] = Counter()
    crashes = 0
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        world, wrong = run_town(seed)
        assert not wrong, f"{wrong[:5]}; repeat with: {COMMAND} {seed}"
        said.update(type(each.record).__name__ for each in admitted(world))
        crashes += world.crashes
    assert crashes >= BLOCK, "the weather was too good to prove anything"
    for name in PROVED:
        assert said[name] >= BLOCK / 5, f"nothing was proved about {name}: {said}"
