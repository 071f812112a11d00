"""Skills by name: what a declared skill is called in a profession, and whether the levels suffice. All of it exact."""

import unicodedata
from collections.abc import Collection, Iterable, Mapping

from services.definitions.profession import Profession


def fold_skill(name: str) -> str:
    """Return the form in which names of skills are compared: `Code-Review`, `code_review` and `code review` are one."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(plain.replace("_", " ").replace("-", " ").split())


def named_levels(profession: Profession) -> dict[str, int]:
    """Return the level of each skill by its name and by each of its aliases; a name wins over an alias."""
    levels = {fold_skill(alias): skill.level for skill in reversed(profession.skills) for alias in skill.aliases}
    return levels | {fold_skill(skill.name): skill.level for skill in profession.skills}


def level_of(profession: Profession, skill: str) -> int:
    """Return the level that a profession has in a skill, 0 if it does not have it."""
    return named_levels(profession).get(fold_skill(skill), 0)


def meets(profession: Profession, least: Mapping[str, int]) -> bool:
    """Whether a profession has each skill at least at its level."""
    levels = named_levels(profession)
    return all(levels.get(fold_skill(skill), 0) >= level for skill, level in least.items())


def capable(
    professions: Iterable[Profession], least: Mapping[str, int], among: Collection[str] | None = None
) -> tuple[str, ...]:
    """Return the ids of those (of `among`, if given) that meet the least levels, in the order of the professions."""
    return tuple(one.id for one in professions if (among is None or one.id in among) and meets(one, least))
