"""Batches of tasks: the shape of the answers, and lines that are no task."""

import json
from functools import cache

import pytest

from services.definitions.catalogue import Catalogue, build_catalogue, shipped_catalogue
from services.definitions.profession import Examples, Profession
from services.router.batch import BatchInvalid, match_batch


def with_few_examples(profession: Profession) -> Profession:
    examples = Examples(zh=profession.examples.zh[:40], en=profession.examples.en[:40])
    return profession.model_copy(update={"examples": examples})


@cache
def catalogue() -> Catalogue:
    return build_catalogue(with_few_examples(profession) for profession in shipped_catalogue())


def answers(*lines: str) -> list[dict[str, object]]:
    return list(match_batch(lines, catalogue()))


def test_each_line_is_answered_in_its_turn() -> None:
    first, second, third = answers(
        '{"id": "a", "text": "写测试用例", "lang": "zh"}',
        "",
        '{"id": 2, "skills": ["kubernetes", "on-call duty", "terraform"]}',
        '{"id": "c", "text": "Write a poem", "among": ["editor", "content_creator"]}\n',
    )
    assert list(first) == ["id", "ranked", "accepted", "score"]
    assert (first["id"], first["ranked"][0], first["accepted"]) == ("a", "qa_engineer", True)  # type: ignore[index]
    assert (second["id"], second["ranked"][0]) == (2, "devops_engineer")  # type: ignore[index]
    assert (third["id"], third["ranked"]) == ("c", ["content_creator", "content_editor"])
    assert json.loads(json.dumps(first)) == first


def test_a_match_is_accepted_from_a_score_of_one_half_on() -> None:
    texts = ["写测试用例", "Design it", "hello", "Deploy the service to the cluster", "Write"]
    for answer in answers(*(json.dumps({"id": text, "text": text}) for text in texts)):
        score = answer["score"]
        assert isinstance(score, float)
        assert answer["accepted"] is (score >= 0.5)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: Invalid JSON"),
        ('{"text": "x"}', "line 2: id: Field required"),
        ('{"id": "x"}', "line 2: has neither `text` nor `skills`, give at least one of them"),
        ('{"id": "x", "text": 7}', "line 2: text: Input should be a valid string"),
        ('{"id": "x", "skills": "sql"}', "line 2: skills: Input should be a valid"),
        ('{"id": "x", "text": "t", "among": []}', "line 2: `among` is empty, name professions or leave it out"),
        (
            '{"id": "x", "text": "t", "among": ["qa_enginer"]}',
            "line 2: among: the profession `qa_enginer` is not known; did you mean `qa_engineer`?",
        ),
        ('{"id": "x", "text": "' + "t" * 1_000_000 + '"}', "line 2: has 1000023 characters, more than 1000000"),
    ],
)
def test_a_bad_line_is_named(line: str, said: str) -> None:
    found = match_batch(['{"id": 1, "text": "Write a poem"}', line], catalogue())
    assert next(found)["id"] == 1
    with pytest.raises(BatchInvalid) as caught:
        next(found)
    assert str(caught.value).startswith(said)
