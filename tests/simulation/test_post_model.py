"""The rules of posts hold in every schedule of their model, and each is needed."""

import pytest

from tests.simulation.post_model import BREAKS, REDUNDANT, first_problem


def test_posts_hold_with_all_rules() -> None:
    assert not first_problem(400, "")


@pytest.mark.parametrize("rule", sorted(BREAKS))
def test_each_rule_of_posts_is_needed(rule: str) -> None:
    assert first_problem(100, rule), f"nothing is wrong though {BREAKS[rule]}"


@pytest.mark.parametrize("rule", sorted(REDUNDANT))
def test_nothing_depends_on_a_rule_that_is_called_redundant(rule: str) -> None:
    assert not first_problem(100, rule), f"something depends on it: {REDUNDANT[rule]}"
