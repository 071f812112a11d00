"""The bus alone under seeded faults. `python -m tests.simulation.bank FIRST[:LAST]` runs other seeds."""

import os
from collections import Counter

import pytest

from tests.simulation.bank import COMMAND, run_world
from tests.simulation.bank_check import counts

SEEDS = 500
BLOCK = 50
SOAK_SEEDS = int(os.environ.get("CLAWX_SOAK_SEEDS", "20000"))


def check_seeds(first: int, last: int) -> tuple[Counter[str], Counter[str]]:
    """Run these seeds; gives what was said in all of them, and what befell their worlds."""
    said: Counter[str] = Counter()
    befell: Counter[str] = Counter()
    for seed in range(first, last):
        world = run_world(seed)
        assert not world.wrong, f"{world.wrong[:5]}; repeat with: {COMMAND} {seed}"
        said.update(counts(world.book.facts))
        befell.update(crashes=world.crashes, pauses=world.pauses, moves=world.moves, compared=world.replay.compared)
        befell.update(claims=sum(line.kind == "claim" for line in world.book.lines))
    return said, befell


@pytest.mark.parametrize("block", range(SEEDS // BLOCK))
def test_the_bank_holds_in_bad_weather(block: int) -> None:
    said, befell = check_seeds(block * BLOCK, (block + 1) * BLOCK)
    assert befell["crashes"] >= BLOCK, "the weather was too good to prove anything"
    assert befell["pauses"] >= BLOCK / 2
    assert befell["claims"] >= BLOCK * 20
    assert befell["compared"] >= BLOCK * 20, "hardly any live state was compared with the log"
    for name in ("Deposited", "Receipted", "CoinCounted", "Reminded", "Heard", "InputQuarantined", "DepositRefused"):
        assert said[name] >= BLOCK / 5, f"nothing was proved about {name}: {said}"


@pytest.mark.soak
def test_the_bank_holds_in_bad_weather_for_long() -> None:
    check_seeds(SEEDS, SOAK_SEEDS)
