"""The language: every record type that stands on a channel, a module per channel (`event` gathers three). Nothing here
does anything.

To add a type: write it in the module of its channel, list its speaker and hearers in `services/topology.py`, run
`make schemas`.
"""

from bus.codec import Codec
from bus.record import Record
from services.records import data, event, review, task, telemetry
from services.records.releases import older_schemas

LANGUAGE: tuple[type[Record], ...] = (
    *task.RECORDS,
    *event.RECORDS,
    *data.RECORDS,
    *review.RECORDS,
    *telemetry.RECORDS,
)


def language_codec() -> Codec:
    """A codec for the whole language, also as released versions wrote it."""
    return Codec(LANGUAGE, older=older_schemas())
