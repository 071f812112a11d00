"""The terms of a text: what they are, and that different forms of a word share one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.router.text import TEXT_CHARACTERS_MAX, find_stem, read_terms


def terms(text: str) -> set[str]:
    return {term for term, _ in read_terms(text)}


def test_english_gives_stems_beginnings_and_neighbours() -> None:
    assert list(read_terms("Fix the failing tests")) == [
        ("fix", "fix"),
        ("fail", "failing"),
        ("faili-", "failing"),
        ("fix fail", "fix failing"),
        ("test", "tests"),
        ("fail test", "failing tests"),
    ]


def test_chinese_gives_characters_and_short_runs() -> None:
    assert terms("写代码") == {"写", "代", "码", "写代", "代码", "写代码"}


def test_no_pair_reaches_over_another_script() -> None:
    assert terms("编写API文档") == {"编", "写", "编写", "api", "文", "档", "文档"}
    assert "api fast" not in terms("API 很 fast")


@pytest.mark.parametrize(
    "written", ["code_review", "Code Review", "codeReview", "code-review", "ＣＯＤＥ　ＲＥＶＩＥＷ"]
)
def test_a_name_is_the_same_however_it_is_written(written: str) -> None:
    assert terms(written) == {"cod", "review", "revie-", "cod review"}


@pytest.mark.parametrize(
    "forms",
    [
        ("test", "tests", "tester", "testing", "tested"),
        ("optimise", "optimize", "optimising", "optimization", "optimised"),
        ("automate", "automation", "automated", "automating"),
        ("deploy", "deploys", "deployed", "deployment", "deploying"),
        ("query", "queries"),
        ("plan", "plans", "planned", "planning", "planner"),
    ],
)
def test_the_forms_of_a_word_have_one_stem(forms: tuple[str, ...]) -> None:
    assert len({find_stem(form) for form in forms}) == 1


def test_what_stands_far_down_in_a_text_is_not_read() -> None:
    assert "deploy" not in terms("写" * TEXT_CHARACTERS_MAX + " deploy")


@given(st.text(max_size=200))
def test_every_text_can_be_read(text: str) -> None:
    assert all(term and words for term, words in read_terms(text))
