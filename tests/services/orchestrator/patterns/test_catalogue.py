"""Every pattern has a test, or a reason why it is left out that the README gives too."""

from tests.services.orchestrator.patterns import test_branching, test_structure
from tests.services.orchestrator.patterns.catalogue import LEFT_OUT, NAMES, SHOWN
from tests.tidy.source_tree import ROOT

MODULES = (test_branching, test_structure)


def test_every_pattern_is_shown_or_left_out_for_a_reason() -> None:
    assert all(module.__doc__ for module in MODULES)
    assert sorted(NAMES) == list(range(1, 44))
    assert SHOWN.isdisjoint(LEFT_OUT)
    assert SHOWN | LEFT_OUT.keys() == NAMES.keys()


def test_the_readme_lists_what_is_left_out() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for number, reason in LEFT_OUT.items():
        assert f"| {number} {NAMES[number]} | {reason} |" in text
    assert f"{len(SHOWN)} of the {len(NAMES)}" in text
