"""Skills by name: exact, and the same as looking through everything one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.definitions.catalogue import shipped_catalogue
from services.definitions.profession import Profession, Skill, Wording
from services.router.skills import capable, level_of, meets

WRITTEN = ["coding", "code_review", "Code Review", "code-review", "debugging", "写代码", "Coding "]
names = st.sampled_from(WRITTEN)
least_levels = st.dictionaries(names, st.integers(0, 10), max_size=3)
skills = st.builds(Skill, name=names, level=st.integers(1, 10), aliases=st.lists(names, max_size=2).map(tuple))


@st.composite
def professions(draw: st.DrawFn) -> list[Profession]:
    groups = draw(st.lists(st.lists(skills, min_size=1, max_size=3, unique_by=lambda s: s.name), max_size=4))
    return [
        Profession(id=f"p{number}", name=Wording(en="P"), skills=tuple(group)) for number, group in enumerate(groups)
    ]


def same(one: str, other: str) -> bool:
    return one.lower().strip().replace("_", " ").replace("-", " ") == other.lower().strip().replace("_", " ").replace(
        "-", " "
    )


def level_by_looking(profession: Profession, wanted: str) -> int:
    """The last skill of this name, else the first with this alias."""
    found = 0
    for skill in profession.skills:
        if same(skill.name, wanted):
            found = skill.level
    if found:
        return found
    for skill in profession.skills:
        for alias in skill.aliases:
            if same(alias, wanted):
                return skill.level
    return 0


@given(professions(), least_levels, st.none() | st.sets(st.sampled_from(["p0", "p1", "p2", "p9"])))
def test_the_filter_equals_looking_through_everything(
    listed: list[Profession], least: dict[str, int], among: set[str] | None
) -> None:
    expected = []
    for profession in listed:
        enough = True
        for skill, level in least.items():
            if level_by_looking(profession, skill) < level:
                enough = False
        if enough and (among is None or profession.id in among):
            expected.append(profession.id)
    assert capable(listed, least, among) == tuple(expected)


@pytest.mark.parametrize(
    "written", ["code_review", "Code Review", "code-review", "代码评审", "peer review of source code"]
)
def test_a_skill_has_its_level_under_each_of_its_names(written: str) -> None:
    assert level_of(shipped_catalogue().require("developer"), written) == 7


@pytest.mark.parametrize(
    ("least", "met"),
    [
        ({}, True),
        ({"coding": 9}, True),
        ({"coding": 10}, False),
        ({"coding": 9, "cooking": 1}, False),
        ({"code": 1}, False),
    ],
)
def test_least_levels_are_met_exactly(least: dict[str, int], met: bool) -> None:
    assert meets(shipped_catalogue().require("developer"), least) is met


def test_of_two_skills_with_one_alias_the_first_is_meant_but_a_name_comes_before() -> None:
    strong = Skill(name="coding", level=9, aliases=("programming", "scripting"))
    weak = Skill(name="scripting", level=4, aliases=("programming",))
    profession = Profession(id="p", name=Wording(en="P"), skills=(strong, weak))
    assert [level_of(profession, skill) for skill in ("programming", "scripting")] == [9, 4]
