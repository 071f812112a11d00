"""What `clawx doctor` looks at."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bus.errors import BusError
from services.cli.connection import hosts_itself, log_exists, server_of
from services.settings import Settings

if TYPE_CHECKING:
    from services.factory.drivers.survey import DriverSurvey

PACKAGES = ("aiohttp", "apsw", "common-expression-language", "fastapi", "fastavro", "immutables", "pydantic", "uvicorn")
PYTHON_LEAST, PYTHON_MOST = (3, 11), (3, 13)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    check: str
    ok: bool
    needed: bool = True
    detail: str = ""


async def examine(settings: Settings, *, quick: bool = False) -> list[Finding]:
    """Everything, or only whether the log or the gateway can be reached."""
    if quick:
        return [await _log(settings)]
    return [
        _python(),
        *_packages(settings),
        _directory("data", settings.data),
        _directory("blobs", settings.blob_directory),
        await _log(settings),
        *await _drivers(settings),
        *_limits(),
        *_agents(settings),
    ]


def _python() -> Finding:
    ok = PYTHON_LEAST <= sys.version_info[:2] <= PYTHON_MOST
    return Finding(check="python", ok=ok, detail=f"{platform.python_version()} on {platform.platform()}")


def _packages(settings: Settings) -> Iterator[Finding]:
    yield Finding(check="clawx", ok=True, detail=_version("openclaw-x") or "not installed, run from its source")
    for name in PACKAGES:
        version = _version(name)
        yield Finding(check=name, ok=bool(version), detail=version or "missing")
    kafka = _version("aiokafka")
    needed = not settings.is_embedded and not settings.server
    yield Finding(check="aiokafka", ok=bool(kafka), needed=needed, detail=kafka or "not there; only Kafka needs it")
    uvloop = _version("uvloop")
    yield Finding(check="uvloop", ok=bool(uvloop), needed=False, detail=uvloop or "not there; all is slower")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _directory(check: str, path: Path) -> Finding:
    """Whether files can be made there, or the directory itself where it is not there yet."""
    existing = next(each for each in (path, *path.absolute().parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            free = shutil.disk_usage(existing).free // 2**20
    except OSError as error:
        return Finding(check=check, ok=False, detail=f"{path}: {error.strerror}")
    return Finding(check=check, ok=True, detail=f"{path}, {free} MiB free")


async def _log(settings: Settings) -> Finding:
    """The gateway that runs, or the log itself, looked at without touching it."""
    from services.client import connect

    url = server_of(settings)
    if url:
        return await _gateway(url)
    if hosts_itself(settings) and not log_exists(settings):
        return Finding(check="log", ok=True, detail=f"{settings.bus_url} is not there yet and will be made")
    try:
        async with connect(settings.bus_url, settings=settings, view=True):
            return Finding(check="log", ok=True, detail=f"{settings.bus_url}, namespace {settings.namespace}")
    except BusError as error:
        return Finding(check="log", ok=False, detail=str(error))


async def _gateway(url: str) -> Finding:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(f"{url}/api/v1/health") as response:
            return Finding(check="log", ok=response.status == 200, detail=f"the gateway at {url} answers")
    except (aiohttp.ClientError, TimeoutError) as error:
        return Finding(check="log", ok=False, detail=f"the gateway at {url} does not answer: {error}")


async def _drivers(settings: Settings) -> list[Finding]:
    """How workers can be kept apart here, and what each way leaves open."""
    from services.factory.drivers.survey import survey_drivers

    directory = settings.data.absolute() / "nodes" / settings.node
    return [
        _driver(each)
        for each in await survey_drivers(directory, settings.docker_image, own_users=bool(settings.own_users))
    ]


def _driver(survey: DriverSurvey) -> Finding:
    if survey.absence:
        return Finding(check=survey.name, ok=False, needed=False, detail=survey.absence)
    layers = " ".join(limit.partition("=")[0] for limit in survey.limits)
    detail = f"{'what auto takes; ' if survey.is_strongest else ''}limits {layers}"
    detail += f"; a worker can: {', '.join(survey.open)}" if survey.open else "; all probes hold"
    if not any(limit.startswith("network=") for limit in survey.limits):
        detail += "; it keeps no worker to the hosts of its profession"
    return Finding(check=survey.name, ok=True, needed=survey.name == "process", detail=detail)


def _agents(settings: Settings) -> Iterator[Finding]:
    """Which agents can work on this machine, and why others cannot."""
    from services.factory.agents.survey import survey_agents
    from services.factory.drivers.launching import node_environment

    handed_out = tuple(map(str.strip, settings.secrets.split(",")))
    for each in survey_agents(node_environment()["PATH"], handed_out):
        check = f"agent {each.name}"
        yield Finding(check=check, ok=not each.absence, needed=False, detail=each.absence or each.detail)


def _limits() -> Iterator[Finding]:
    """Which limits of the kernel can be put on workers here."""
    unified = Path("/sys/fs/cgroup/cgroup.controllers")
    if unified.exists():
        detail = f"version 2: {unified.read_text().strip() or 'no controllers'}"
    else:
        controllers = sorted(each.name for each in Path("/sys/fs/cgroup").glob("*") if each.is_dir())
        detail = f"version 1: {' '.join(controllers)}" if controllers else "none"
    writable = os.access("/sys/fs/cgroup", os.W_OK)
    detail += "" if writable else "; not ours to write"
    yield Finding(check="cgroups", ok=writable and "none" not in detail, needed=False, detail=detail)
    has_rlimits = importlib.util.find_spec("resource") is not None
    yield Finding(check="rlimits", ok=has_rlimits, needed=False, detail="memory, processes, file size by process")
