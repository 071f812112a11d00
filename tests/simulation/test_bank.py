"""The bus alone under seeded faults. `python -m tests.simulation.bank FIRST[:LAST]` runs other seeds."""

import pytest

from tests.simulation.bank import SCHEMAS, run_world
from tests.simulation.bank_check import admitted, lines


@pytest.mark.parametrize("block", range(10))
def test_the_bank_holds_in_bad_weather(block: int) -> None:
    crashes = epochs = 0
    for seed in range(block * 50, block * 50 + 50):
        world, wrong = run_world(seed)
        assert not wrong, f"{wrong[:5]}; repeat with: python -m tests.simulation.bank {seed}"
        crashes += world.crashes
        facts = admitted(list(lines(world.storage.records, SCHEMAS)))
        epochs += max(fact.epoch for fact in facts)
    assert crashes >= 5, "the weather was too good to prove anything"
    assert epochs >= 20
