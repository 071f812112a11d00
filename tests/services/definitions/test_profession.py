"""Profession files: the written forms, the canonical form, what is refused, and those that ship."""

import pytest

from services.definitions.catalogue import (
    AliasTaken,
    ProfessionUnknown,
    build_catalogue,
    shipped_catalogue,
)
from services.definitions.problem import DefinitionInvalid
from services.definitions.profession import Profession, read_profession

SPECIFICATION = """
profession:
  id: "software_developer"
  name: "开发工程师"
  category: "software"
  skills:
    - {name: "coding", level: 9, description: "代码编写能力"}
    - {name: "debugging", level: 8, description: "调试排错能力"}
    - {name: "refactoring", level: 7, description: "代码重构能力"}
    - {name: "code_review", level: 7, description: "代码审查能力"}
  task_types: ["feature_development", "bug_fix", "code_refactoring", "code_review"]
  collaboration: {upstream: ["product_manager", "architect"], downstream: ["qa_engineer", "devops"]}
  config: {preferred_model: "gpt-4", max_concurrent_tasks: 3, timeout_multiplier: 1.0, quality_threshold: 0.85}
"""

EXPECTED = """
product_manager software_architect software_developer qa_engineer devops_engineer security_engineer data_engineer
data_analyst algorithm_engineer researcher content_planner content_creator content_editor layout_designer experimenter
technical_writer
"""


def read(text: str) -> Profession:
    return read_profession(text.encode(), "p.yaml").profession


def problems_of(text: str) -> list[str]:
    with pytest.raises(DefinitionInvalid) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


def test_the_profession_of_the_specification_loads_as_written() -> None:
    profession = read(SPECIFICATION)
    assert profession.id == "software_developer"
    assert profession.name.say("zh") == profession.name.say("en") == "开发工程师"
    assert profession.levels == {"coding": 9, "debugging": 8, "refactoring": 7, "code_review": 7}
    assert profession.skills[0].description.zh == "代码编写能力"
    assert profession.task_types == ("feature_development", "bug_fix", "code_refactoring", "code_review")
    assert profession.collaboration.upstream == ("product_manager", "architect")
    assert profession.collaboration.downstream == ("qa_engineer", "devops")
    config = profession.config
    assert (config.preferred_model, config.max_concurrent_tasks) == ("gpt-4", 3)
    assert (config.timeout_multiplier, config.quality_threshold) == (1.0, 0.85)
    assert (profession.agent, profession.resource_class) == ("script", "light")


def test_a_profession_is_the_same_wrapped_or_not() -> None:
    bare = "\n".join(line[2:] for line in SPECIFICATION.strip().splitlines()[1:])
    assert read(bare) == read(SPECIFICATION)


def test_the_canonical_form_reads_back_to_the_same_digest() -> None:
    profession = read(SPECIFICATION)
    again = Profession.from_json(profession.to_json())
    assert again == profession
    assert again.digest() == profession.digest()
    assert read(SPECIFICATION.replace("level: 7", "level: 6")).digest() != profession.digest()


def test_the_digest_is_that_of_the_canonical_json_for_ever() -> None:
    profession = read("{id: x, name: X, skills: [{name: a, level: 1}]}")
    assert profession.to_json() == (
        b'{"agent":"script","aliases":[],"category":"general","collaboration":{"downstream":[],"upstream":[]},'
        b'"config":{"max_concurrent_tasks":1,"quality_threshold":0.0,"timeout_multiplier":1.0},'
        b'"examples":{"en":[],"zh":[]},"id":"x","instructions":{"en":"","zh":""},"name":{"en":"X","zh":""},'
        b'"resource_class":"light","skills":[{"aliases":[],"description":{"en":"","zh":""},"level":1,"name":"a"}],'
        b'"summary":{"en":"","zh":""},"task_types":[]}'
    )
    assert profession.digest() == "sha256:b818cfef646f0ad04445019fc8fa92dfb0bbd873ebc005b1147fc0e7358c70bd"


@pytest.mark.parametrize(
    "written",
    [
        "[Fix the bug, {lang: zh, text: 写代码}]",
        "{en: [Fix the bug], zh: [写代码]}",
        "{en: ' Fix the bug\n\n', zh: 写代码}",
        "[{text: Fix the bug}, 写代码]",
    ],
)
def test_examples_may_be_a_list_or_by_language(written: str) -> None:
    examples = read(f"{{id: x, name: X, skills: [{{name: a, level: 1}}], examples: {written}}}").examples
    assert (examples.en, examples.zh) == (("Fix the bug",), ("写代码",))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("level: 9", "level: 11", ["p.yaml:7: skills[0].level: must be at most 10, found `11`"]),
        ("level: 9", "level: nine", ["p.yaml:7: skills[0].level: a whole number is expected, found `nine`"]),
        (
            "level: 9",
            "levle: 9",
            [
                "p.yaml:7: skills[0].level: the field `level` is missing; add `level:`",
                "p.yaml:7: skills[0].levle: the field `levle` is not known here; did you mean `level`?",
            ],
        ),
        (
            "category:",
            "catgory:",
            ["p.yaml:5: catgory: the field `catgory` is not known here; did you mean `category`?"],
        ),
        (
            "max_concurrent_tasks: 3",
            "max_concurent_tasks: 3",
            ["p.yaml:13: config.max_concurent_tasks: the field `max_concurent_tasks` is not known here; did you mean"],
        ),
        (
            "quality_threshold: 0.85",
            "quality_threshold: 85",
            ["p.yaml:13: config.quality_threshold: must be at most 1.0, found `85`"],
        ),
        ('"debugging"', '"coding"', ["p.yaml:3: the skill `coding` is listed twice, keep one of the two"]),
        ('"开发工程师"', '""', ["p.yaml:4: name: the name is empty, give it in `zh`, `en` or both"]),
        (
            '"software_developer"',
            '"software developer"',
            ["id: `software developer` cannot be a name here; use letters"],
        ),
        ("task_types: [", "examples: [7, ", ["p.yaml:11: examples[0]: this is no example of a task; write the text"]),
    ],
)
def test_what_is_wrong_names_file_line_and_field(before: str, after: str, said: list[str]) -> None:
    assert before in SPECIFICATION
    found = problems_of(SPECIFICATION.replace(before, after, 1))
    assert len(found) == len(said)
    assert all(sentence in problem for sentence, problem in zip(said, found, strict=True))


def test_a_file_that_is_no_mapping_is_refused() -> None:
    assert problems_of("- a") == ["p.yaml:1: a mapping of fields is expected, found a list of 1"]


def test_sixteen_professions_ship_and_are_bilingual() -> None:
    shipped = shipped_catalogue()
    assert {profession.id for profession in shipped} >= set(EXPECTED.split())
    for profession in shipped:
        for wording in (profession.name, profession.summary, profession.instructions):
            assert wording.zh, profession.id
            assert wording.en, profession.id
        assert min(len(profession.examples.zh), len(profession.examples.en)) >= 25, profession.id
        assert len(profession.skills) >= 5, profession.id
        assert profession.task_types, profession.id


def test_no_example_is_that_of_two_professions_or_written_twice() -> None:
    texts = [text for one in shipped_catalogue() for text in (*one.examples.zh, *one.examples.en)]
    assert sorted(texts) == sorted(set(texts))


def test_whom_a_shipped_profession_works_with_is_known() -> None:
    shipped = shipped_catalogue()
    for profession in shipped:
        for name in (*profession.collaboration.upstream, *profession.collaboration.downstream):
            assert shipped.find(name), f"{profession.id} names {name}"


def test_the_shipped_developer_keeps_the_levels_of_the_specification() -> None:
    assert shipped_catalogue().require("software_developer").levels.items() >= read(SPECIFICATION).levels.items()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("developer", "software_developer"),
        ("Developer", "software_developer"),
        ("architect", "software_architect"),
        ("devops", "devops_engineer"),
        ("tester", "qa_engineer"),
        ("writer", "technical_writer"),
        ("editor", "content_editor"),
        ("product-manager", "product_manager"),
        ("架构师", None),
        ("测试", "qa_engineer"),
    ],
)
def test_a_profession_is_found_by_id_or_alias(name: str, expected: str | None) -> None:
    found = shipped_catalogue().find(name)
    assert (found.id if found else None) == expected


def test_an_unknown_profession_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ProfessionUnknown, match="`devlopper` is not known; did you mean `developer`"):
        shipped_catalogue().require("devlopper")


def test_an_alias_belongs_to_one_profession_and_never_hides_an_id() -> None:
    first = read("{id: a, name: A, aliases: [b, c], skills: [{name: s, level: 1}]}")
    second = read("{id: b, name: B, skills: [{name: s, level: 2}]}")
    catalogue = build_catalogue([second, first])
    assert catalogue.require("b") == second
    assert catalogue.levels() == {"a": {"s": 1}, "b": {"s": 2}, "c": {"s": 1}}
    with pytest.raises(AliasTaken, match="`C` of the profession `d` already stands for `a`"):
        catalogue.extended(read("{id: d, name: D, aliases: [C], skills: [{name: s, level: 1}]}"))


def test_a_newer_version_takes_the_place_of_the_older_and_keeps_its_names() -> None:
    newer = read(SPECIFICATION)
    extended = shipped_catalogue().extended(newer)
    assert newer.aliases == ()
    assert extended.require("software_developer") == extended.require("developer") == newer
    assert len(extended.professions) == len(shipped_catalogue().professions)


def test_a_name_that_was_kept_gives_way_to_a_new_profession() -> None:
    named = read("{id: developer, name: D, skills: [{name: s, level: 1}]}")
    assert shipped_catalogue().extended(read(SPECIFICATION)).extended(named).require("developer") == named
