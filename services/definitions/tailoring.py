"""Tailoring: a profession and a quota as one instance has them, made from what somebody asks for it beside its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.definitions.problem import suggest
from services.definitions.profession import LEVEL_MAX, Profession
from services.definitions.resource_class import RESOURCE_CLASSES
from services.records.content import Resources

MEMORY_PATTERN = r"(\d{1,9}(?:\.\d{1,3})?)\s*([KMGT]i?)?B?"
_MEMORY = re.compile(MEMORY_PATTERN)
_MIB = {"": 1 / 2**20, "K": 1000 / 2**20, "M": 1e6 / 2**20, "G": 1e9 / 2**20, "T": 1e12 / 2**20}
_MIB |= {"Ki": 1 / 1024, "Mi": 1, "Gi": 1024, "Ti": 1024 * 1024}


class TailoringRefused(ValueError):
    """Something that was asked for cannot be; the message names it and says what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tailoring:
    """What one instance is to have of its own. What is not given stays as the profession has it."""

    resource_class: str = ""
    cpu: float | None = None  # cores
    memory: str = ""  # such as 2Gi
    gpus: int | None = None
    tasks: int | None = None  # at once
    quality: float | None = None
    skills: Mapping[str, int] = field(default_factory=dict)
    upstream: tuple[str, ...] = ()
    downstream: tuple[str, ...] = ()

    def profession(self, profession: Profession) -> Profession:
        """The profession as this one instance has it; raises TailoringRefused."""
        for skill, level in self.skills.items():
            if not 1 <= level <= LEVEL_MAX:
                raise TailoringRefused(f"skill {skill}: a level of {level} must lie between 1 and {LEVEL_MAX}")
        config: dict[str, object] = {}
        if self.quality is not None:
            config["quality_threshold"] = self.quality
        if self.tasks is not None:
            config["max_concurrent_tasks"] = self.tasks
        neighbours: dict[str, object] = {}
        if self.upstream:
            neighbours["upstream"] = self.upstream
        if self.downstream:
            neighbours["downstream"] = self.downstream
        return profession.model_copy(
            update={
                "config": profession.config.model_copy(update=config),
                "collaboration": profession.collaboration.model_copy(update=neighbours),
            }
        )

    def resources(self, profession: Profession) -> Resources:
        """The class of the profession, or the one asked for, with what is asked for beside it."""
        known = RESOURCE_CLASSES.get(self.resource_class or profession.resource_class)
        if known is None:
            hint = suggest(self.resource_class, RESOURCE_CLASSES)
            raise TailoringRefused(f"there is no resource class `{self.resource_class}`; {hint}")
        changes: dict[str, int] = {}
        if self.cpu is not None:
            changes["cpu_millis"] = max(1, round(self.cpu * 1000))
        if self.memory:
            changes["memory_mib"] = parse_memory_mib(self.memory)
        if self.gpus is not None:
            changes["gpus"] = self.gpus
        if self.tasks is not None:
            changes["slots"] = self.tasks
        tailored: Resources = known.model_copy(update=changes)
        return tailored


def parse_memory_mib(text: str) -> int:
    """MiB of `512Mi`, `2GiB`, `1.5G` or a number of bytes; raises TailoringRefused."""
    match = _MEMORY.fullmatch(text.strip())
    mib = round(float(match[1]) * _MIB[match[2] or ""]) if match else 0
    if not 1 <= mib <= 2**30:
        raise TailoringRefused(f"memory: {text!r} must be an amount such as 512Mi or 2Gi")
    return mib
