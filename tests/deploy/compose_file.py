"""docker-compose.yml and deploy/Dockerfile as their tests see them."""

import functools
import re
from typing import Any

import yaml

from tests.tidy.source_tree import ROOT

COPY = re.compile(r"^COPY (?!--from)(.+)$", re.MULTILINE)


@functools.cache
def compose() -> dict[str, Any]:
    """The whole file, its merges carried out."""
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return parsed


def own_services() -> dict[str, dict[str, Any]]:
    """The services that run our own image, by name."""
    return {name: service for name, service in compose()["services"].items() if "build" in service}


def dockerfile() -> str:
    """The text of the image's recipe."""
    return (ROOT / "deploy" / "Dockerfile").read_text()


def copied() -> list[str]:
    """What the recipe copies out of the clone."""
    return [source for line in COPY.findall(dockerfile()) for source in line.split()[:-1]]
