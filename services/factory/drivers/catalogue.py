"""The drivers by name, and which of them work on this machine."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.factory.background import Background
from services.factory.drivers import bubblewrap, docker
from services.factory.drivers.auto import AutoDriver, InsistentDriver
from services.factory.drivers.bubblewrap import BubblewrapDriver
from services.factory.drivers.control_groups import ControlGroups
from services.factory.drivers.docker import DockerDriver
from services.factory.drivers.inline import InlineDriver
from services.factory.drivers.launching import Launching
from services.factory.drivers.limits import LAYERS
from services.factory.drivers.own_user import OwnUsers
from services.factory.drivers.port import Driver
from services.factory.drivers.process import ProcessDriver
from services.factory.drivers.surroundings import find_surroundings

DRIVERS = ("inline", "process", "bubblewrap", "docker", "auto")
"""All that there are."""

APART = ("bubblewrap", "docker", "process")
"""Those that `auto` chooses from; of equals the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """How a node keeps its workers apart."""

    drivers: tuple[str, ...] = DRIVERS  # to be offered as far as they work
    required: tuple[str, ...] = ()  # layers without which no worker is started
    own_users: bool = True  # a user for each worker, where the node may
    docker_image: str = ""  # with a Python of our age; none, and there is no docker driver


class Drivers:
    """The drivers that a node offers."""

    def __init__(
        self,
        isolation: Isolation,
        directory: Path,
        launching: Launching,
        start_timeout_ms: int,
        background: Background,
    ) -> None:
        """Raises ValueError for a driver or a layer that there is not."""
        _check("driver", isolation.drivers, DRIVERS)
        _check("layer", isolation.required, LAYERS)
        self.absences = find_absences(isolation.docker_image)
        self._groups = ControlGroups(directory)
        self._groups.remove_all()
        users = OwnUsers(directory, find_surroundings(), wanted=isolation.own_users)
        apart: dict[str, Driver] = {"process": ProcessDriver(launching, start_timeout_ms, background, users)}
        apart["bubblewrap"] = BubblewrapDriver(launching, start_timeout_ms, background, users, self._groups)
        containers = DockerDriver(launching, start_timeout_ms, background, users, isolation.docker_image, directory)
        if "docker" not in self.absences:
            containers.remove_all()
        apart["docker"] = containers
        working = {name: apart[name] for name in APART if name not in self.absences}
        made = {"inline": InlineDriver(), **working, "auto": AutoDriver(working)}
        offered = {name: made[name] for name in isolation.drivers if name in made}
        self.by_name: Mapping[str, Driver] = _insist(offered, isolation.required)

    def close(self) -> None:
        """Once no worker is left."""
        self._groups.remove_all()


def _insist(drivers: Mapping[str, Driver], required: Sequence[str]) -> Mapping[str, Driver]:
    if not required:
        return drivers
    return {name: InsistentDriver(name, driver, required) for name, driver in drivers.items()}


def find_absences(docker_image: str = "") -> dict[str, str]:
    """The drivers that do not work on this machine, and why."""
    found = {"bubblewrap": bubblewrap.find_absence(), "docker": docker.find_absence(docker_image)}
    return {name: why for name, why in found.items() if why}


def _check(kind: str, names: Iterable[str], known: Sequence[str]) -> None:
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"there is no {kind} {unknown[0]!r}; there are: {', '.join(known)}")
