"""A place where no system can be gets one sentence and exit code 2 from the real program, and is left as it was."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.brokers.loopback import free_ports
from tests.system.fleet import Fleet, Program, fleet

FLOW = "id: tiny\nstages: [{id: a, profession: developer, output: [x]}]\n"
MIB = 1024 * 1024


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    """A workflow that could run."""
    path = tmp_path / "tiny.yaml"
    path.write_text(FLOW)
    return path


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of the test's own."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk to fill")
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path, left: int = 0) -> Path:
    """Fill a disk but for so many bytes; gives the file that fills it."""
    path = disk / "fill"
    with path.open("wb") as file:
        while (room := os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - left) > 0:
            with suppress(OSError):  # others write here too: there was less by then
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), room)
    return path


def entries(directory: Path) -> list[str]:
    """What is in a directory."""
    return sorted(path.name for path in directory.iterdir())


def blobs(system: Fleet) -> list[Path]:
    """What is kept by digest."""
    return sorted(path for path in (system.data / "blobs").rglob("*") if path.is_file())


def check_refused(program: Program, *said: str) -> None:
    """It ended with code 2, printed nothing, and said one sentence."""
    assert program.process.returncode == 2, program.said()
    assert program.out.read_text() == ""
    (line,) = program.said().splitlines()
    for part in said:
        assert part in line


@pytest.mark.parametrize("left", [0, MIB], ids=["full", "almost-full"])
@pytest.mark.parametrize("command", ["up", "run"])
async def test_nothing_starts_on_a_full_disk(embedded: Fleet, disk: Path, flow: Path, command: str, left: int) -> None:
    fill(disk, left)
    arguments = [command, *([str(flow)] if command == "run" else ["--port", "0"])]
    check_refused(await embedded.call(*arguments, CLAWX_DATA=str(disk / "data")), str(disk / "data"), "make room")
    assert entries(disk) == ["fill"]


@pytest.fixture
def on_disk(disk: Path, embedded: Fleet) -> Fleet:
    """An embedded system with its data on the small disk."""
    embedded.home.mkdir()
    (disk / "data").mkdir()
    embedded.data.symlink_to(disk / "data")
    return embedded


async def test_a_disk_that_fills_refuses_what_is_asked_until_there_is_room(
    disk: Path, on_disk: Fleet, flow: Path
) -> None:
    on_disk.up(*free_ports(1))
    await on_disk.decides("up")
    before = blobs(on_disk)
    filling = fill(disk)
    check_refused(await on_disk.call("run", str(flow), "--json"), "no room")
    assert blobs(on_disk) == before
    filling.unlink()
    again = await on_disk.call("run", str(flow), "--json")
    assert again.process.returncode == 0, again.said()
    assert again.last_json()["status"] == "completed"


async def test_a_namespace_with_other_partitions_is_left_alone(
    kafka: str, namespace: str, flow: Path, tmp_path: Path
) -> None:
    with fleet(f"kafka://{kafka}", namespace, tmp_path / "system", started=False) as system:
        check_refused(await system.call("workflows", "list"), f"no namespace '{namespace}'")
        service = system.start("router")
        await system.decides("router")
        for name in ("allocator", "audit"):
            other = await system.call("service", name, CLAWX_PARTITIONS="3")
            check_refused(other, f"{namespace}.task has 2 partitions, not 3")
        assert service.lives


async def test_an_embedded_log_with_other_partitions_is_left_alone(embedded: Fleet, flow: Path) -> None:
    assert (await embedded.call("run", str(flow))).process.returncode == 0
    check_refused(await embedded.call("up", "--port", "0", CLAWX_PARTITIONS="3"), "partitions 2, not 3")


async def test_a_service_without_a_broker_is_told_so(embedded: Fleet) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for service in ("router", "factory", "gateway"):
        check_refused(
            await embedded.call("service", service, "--bus", f"kafka://127.0.0.1:{port}"), f"127.0.0.1:{port}"
        )
    assert not embedded.data.exists()


async def test_a_second_process_on_an_embedded_log_is_told_of_the_first(embedded: Fleet, flow: Path) -> None:
    (port,) = free_ports(1)
    embedded.up(port)
    await embedded.decides("up")
    check_refused(await embedded.call("up", "--port", "0"), f"--server http://127.0.0.1:{port}")
    assert (await embedded.call("run", str(flow), "--json")).process.returncode == 0
    check_refused(await embedded.call("run", str(flow), "--bus", embedded.settings.bus_url), "--server")
