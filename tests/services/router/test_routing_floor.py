"""The floor below which routing must not fall, on tasks that the professions were not written from."""

import json
from pathlib import Path

import pytest

from bench.routing import DEV, match_file, match_held_out, summarise
from services.definitions.catalogue import shipped_catalogue
from services.router.index import build_index


def test_the_development_tasks_are_routed_right() -> None:
    if not DEV.is_file():
        pytest.skip("the development tasks are not beside the repository; they do not ship")
    outcomes = match_file(DEV, build_index(shipped_catalogue()))
    for language in ("en", "zh"):
        figures = summarise([one for one in outcomes if one.language == language])
        assert figures["right_of_accepted"] >= 0.93, (language, figures)
        assert figures["accepted"] >= 0.65, (language, figures)
        assert figures["top_3"] >= 0.97, (language, figures)


def test_no_shipped_example_repeats_a_development_task() -> None:
    if not DEV.is_file():
        pytest.skip("the development tasks are not beside the repository; they do not ship")
    shipped = {_plain(text) for one in shipped_catalogue() for text in (*one.examples.zh, *one.examples.en)}
    tasks = {_plain(json.loads(line)["text"]) for line in Path(DEV).read_text(encoding="utf-8").splitlines()}
    assert not shipped & tasks


def test_examples_that_are_held_out_are_routed_right_without_development_tasks() -> None:
    figures = summarise(match_held_out(shipped_catalogue(), folds=(0,)))
    assert figures["tasks"] >= 500
    assert figures["right_of_accepted"] >= 0.88, figures
    assert figures["accepted"] >= 0.60, figures
    assert figures["top_3"] >= 0.92, figures


def _plain(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())
