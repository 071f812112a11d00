"""The professions that are known, found by id or by alias, those that ship with the package first of all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType

from services.definitions.problem import suggest
from services.definitions.profession import Profession, read_profession


class ProfessionUnknown(LookupError):
    """No profession has this id or alias; the message is a sentence with the nearest known name."""


class AliasTaken(ValueError):
    """Two professions claim one name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Professions in the order of their ids, and every name that they answer to."""

    professions: tuple[Profession, ...]
    by_name: Mapping[str, Profession]

    def __iter__(self) -> Iterator[Profession]:
        return iter(self.professions)

    def find(self, name: str) -> Profession | None:
        """Return the profession with this id or alias, however it is capitalised or hyphenated."""
        return self.by_name.get(fold_name(name))

    def require(self, name: str) -> Profession:
        """Return the profession with this id or alias; raises ProfessionUnknown."""
        found = self.find(name)
        if found is None:
            hint = suggest(fold_name(name), self.by_name)
            raise ProfessionUnknown(f"the profession `{name}` is not known; {hint}")
        return found

    def levels(self) -> dict[str, dict[str, int]]:
        """Return for each id and alias the skills and their levels, as the validation of workflows asks for them."""
        return {name: profession.levels for name, profession in self.by_name.items()}

    def extended(self, *professions: Profession) -> Catalogue:
        """Return the catalogue with these added, each in the place of one with its id; raises AliasTaken.

        A name stays when the new version does not list it, so that workflows that use it go on.
        """
        by_id = {profession.id: profession for profession in (*self.professions, *professions)}
        catalogue = build_catalogue(by_id.values())
        kept = {name: by_id[profession.id] for name, profession in self.by_name.items()}
        return replace(catalogue, by_name=MappingProxyType({**kept, **catalogue.by_name}))


def fold_name(name: str) -> str:
    """Return the form in which names are compared: lower case, with `_` for blanks and hyphens."""
    return "_".join(name.strip().casefold().replace("-", " ").replace("_", " ").split())


def build_catalogue(professions: Iterable[Profession]) -> Catalogue:
    """Return the catalogue of these professions; an id wins over an alias. Raises AliasTaken."""
    ordered = tuple(sorted(professions, key=lambda profession: profession.id))
    by_name: dict[str, Profession] = {}
    for profession in ordered:
        _claim(by_name, profession.id, profession)
    ids = frozenset(by_name)
    for profession in ordered:
        for alias in profession.aliases:
            if fold_name(alias) not in ids:
                _claim(by_name, alias, profession)
    return Catalogue(professions=ordered, by_name=MappingProxyType(by_name))


def _claim(by_name: dict[str, Profession], name: str, profession: Profession) -> None:
    owner = by_name.setdefault(fold_name(name), profession)
    if owner is not profession:
        raise AliasTaken(f"`{name}` of the profession `{profession.id}` already stands for `{owner.id}`")


@lru_cache(maxsize=1)
def shipped_catalogue() -> Catalogue:
    """Return the professions that ship with the package."""
    folder = files("services.factory").joinpath("professions")
    entries = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".yaml")), key=lambda e: e.name)
    return build_catalogue(read_profession(entry.read_bytes(), entry.name).profession for entry in entries)
