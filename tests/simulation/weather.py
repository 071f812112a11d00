"""How bad it is out there: the odds of each fault at each call."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How likely each fault is, for each call."""

    lost: float = 0.0  # an append of unknown outcome that never lands; those behind it may
    late: float = 0.0  # … that lands later, perhaps after its process is gone
    unheard: float = 0.0  # … that landed: the acknowledgement is lost
    twice: float = 0.0  # an append that lands a second time later, as a client without idempotence repeats it
    slow: float = 0.0  # an append or read that takes much longer
    unavailable: float = 0.0  # a read or a look at the ends that fails
    small: float = 0.0  # a read that gives few records of many


CALM = Weather()
STORMS = (
    Weather(lost=0.01, late=0.01, unheard=0.01, twice=0.002, slow=0.05, unavailable=0.01, small=0.7),
    Weather(late=0.06, unheard=0.02, slow=0.05, small=0.5),
    Weather(lost=0.04, twice=0.01, slow=0.1, small=0.9),
    Weather(unheard=0.05, slow=0.3, unavailable=0.03),
)
"""Of which every process has one of its own."""

LATE = (Weather(late=0.3, slow=0.1, small=0.9),)
"""Whatever was given up still comes."""

SLOW = (Weather(unheard=0.08, slow=0.5, small=0.3),)
"""Sessions are lost often, and every call takes its time."""

CLIENTS = Weather(lost=0.02, late=0.02, unheard=0.04, twice=0.05, slow=0.05, unavailable=0.01)
"""Outside the system: whoever publishes, with whatever client."""
