"""Budgets under concurrent asks and crashes; `python -m tests.simulation.budget_world 0:99` runs other seeds."""

from collections import Counter

import pytest

from services.allocator import budgets
from services.allocator.budgets_state import Amount, Ledger
from tests.simulation.budget_world import COMMAND, run_world

SEEDS = 60


def test_no_budget_is_promised_twice_whoever_crashes() -> None:
    said: Counter[str] = Counter()
    for seed in range(SEEDS):
        world = run_world(seed)
        assert not world.wrong, f"{world.wrong[:5]}; repeat with: {COMMAND} {seed}"
        said.update(line.type for line in world.book.facts if line.role == "allocator.budgets")
        said.update(crashes=world.crashes, claims=sum(line.kind == "claim" for line in world.book.lines))
    assert said["crashes"] >= SEEDS, "the weather was too good to prove anything"
    for name in ("TrancheGranted", "TrancheSettled", "TrancheDeferred", "TrancheRefused", "BudgetCrossed"):
        assert said[name] >= SEEDS / 2, f"nothing was proved about {name}: {said}"


def test_a_budget_that_forgets_what_it_gave_out_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    left = budgets._left

    def forgetful(ledger: Ledger, subjects: tuple[str, ...]) -> Amount:
        accounts = {name: account._replace(open=Amount()) for name, account in ledger.accounts.items()}
        return left(ledger._replace(accounts=ledger.accounts.update(accounts)), subjects)

    monkeypatch.setattr(budgets, "_left", forgetful)
    assert any("spent or promised" in problem for seed in range(6) for problem in run_world(seed).wrong)
