"""What each driver could do on this machine, for somebody who has no node."""

import os
from dataclasses import dataclass
from pathlib import Path

from services.factory.background import Background
from services.factory.drivers.auto import find_strongest
from services.factory.drivers.catalogue import APART, Drivers, Isolation
from services.factory.drivers.launching import Launching
from services.factory.drivers.promises import find_open
from services.records.content import Resources

_RESOURCES = Resources(cpu_millis=1_000, memory_mib=1_024, storage_mib=1_024)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverSurvey:
    """One driver: why it does not work here, or what would be in force for a worker whose resources all have limits."""

    name: str
    absence: str = ""
    limits: tuple[str, ...] = ()
    open: tuple[str, ...] = ()  # what a worker is not kept from
    is_strongest: bool = False  # what `auto` takes


async def survey_drivers(directory: Path, docker_image: str = "", *, own_users: bool = True) -> list[DriverSurvey]:
    """For a node in a directory, which need not be there. Starts nothing and leaves nothing."""
    background = Background()
    launching = Launching(directory, started=lambda pid, born: None, lost=lambda: None)
    # Under a name of its own: a node that works in the directory may have control groups.
    isolation = Isolation(docker_image=docker_image, own_users=own_users)
    drivers = Drivers(isolation, directory / f"survey-{os.getpid()}", launching, 0, background)
    try:
        return [_survey(name, drivers) for name in APART]
    finally:
        drivers.close()
        await background.close()


def _survey(name: str, drivers: Drivers) -> DriverSurvey:
    if name not in drivers.by_name:
        return DriverSurvey(name=name, absence=drivers.absences[name])
    working = {each: drivers.by_name[each] for each in APART if each in drivers.by_name}
    limits = drivers.by_name[name].limits(_RESOURCES)
    is_strongest = find_strongest(working, _RESOURCES) == name
    return DriverSurvey(name=name, limits=limits, open=tuple(find_open(limits)), is_strongest=is_strongest)
