"""The drivers by name."""

from collections.abc import Iterable, Mapping

from services.factory.background import Background
from services.factory.drivers.inline import InlineDriver
from services.factory.drivers.launching import Launching
from services.factory.drivers.port import Driver
from services.factory.drivers.process import ProcessDriver

DRIVERS = ("inline", "process")
"""All that there are; `bubblewrap` and `docker` follow."""


def make_drivers(
    names: Iterable[str], launching: Launching, start_timeout_ms: int, background: Background
) -> Mapping[str, Driver]:
    """The named drivers. Raises ValueError for a name that none has."""
    made: dict[str, Driver] = {
        "inline": InlineDriver(),
        "process": ProcessDriver(launching, start_timeout_ms, background),
    }
    if unknown := [name for name in names if name not in made]:
        raise ValueError(f"there is no driver {unknown[0]!r}; there are: {', '.join(DRIVERS)}")
    return {name: made[name] for name in names}
