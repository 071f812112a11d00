"""What is locked is what pyproject.toml asks for, by hash and without an address."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tidy.source_tree import ROOT

LOCKED = re.compile(r"^([a-z0-9-]+)==([^ ;\\]+)", re.MULTILINE)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def locked(name: str) -> dict[str, str]:
    return dict(LOCKED.findall((ROOT / "requirements" / name).read_text()))


def asked(groups: list[str]) -> list[Requirement]:
    extras = PROJECT["project"]["optional-dependencies"]
    named = [*PROJECT["project"]["dependencies"], *extras["kafka"], *extras["postgres"]]
    named += [text for group in groups for text in PROJECT["dependency-groups"][group]]
    return [Requirement(text) for text in named]


@pytest.mark.parametrize(("name", "groups"), [("run.lock", ["build"]), ("dev.lock", ["build", "lint", "test"])])
def test_a_lock_satisfies_what_is_asked_for(name: str, groups: list[str]) -> None:
    versions = locked(name)
    unmet = [str(r) for r in asked(groups) if versions.get(canonicalize_name(r.name), "0") not in r.specifier]
    assert not unmet, f"run `make lock`; {name} does not satisfy {unmet}"


def test_both_locks_agree_on_each_version() -> None:
    assert locked("run.lock").items() <= locked("dev.lock").items()


@pytest.mark.parametrize("name", ["run.lock", "dev.lock"])
def test_everything_is_locked_by_hash_and_without_an_address(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()
    pins = re.split(r"\n(?=\S)", text.strip())
    assert pins
    assert all("--hash=sha256:" in pin for pin in pins)
    assert "://" not in text
    assert "#" not in text
