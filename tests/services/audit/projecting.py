"""Projects a log into a database batch by batch, as a program too: it tells of each batch, and may be killed."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine

from bus.channel import STATE_CHANNELS, Partition
from bus.codec import Codec
from bus.log import Stored
from services.audit.batch import Projector
from services.audit.database import open_database
from services.audit.read_model import ReadModel
from services.records import LANGUAGE
from tests.services.audit.languages import Author, partitions_of

CODEC = Codec(LANGUAGE)
Records = Mapping[Partition, Sequence[Stored]]


def write() -> Records:
    """The same log each time."""
    author = Author(CODEC, seed=5, partitions=2)
    author.write(1500)
    return author.records


def model_of(engine: Engine, records: Records) -> ReadModel:
    model = ReadModel(engine, "clawx", partitions_of(records))
    model.prepare()
    return model


def project(model: ReadModel, records: Records, rng: random.Random | None = None, most: int = 100_000) -> None:
    """Take in what stands in the log, in batches of any size, channels as they come."""
    places = model.places()
    projectors = {
        channel: Projector(CODEC, {p: place for p, place in places.items() if p.channel == channel})
        for channel in STATE_CHANNELS
    }
    positions = {partition: place.offset for partition, place in places.items()}
    while behind := [each for each in sorted(positions) if positions[each] < len(records.get(each, ()))]:
        channel = rng.choice(behind).channel if rng else behind[0].channel
        chunks = {}
        for partition in behind:
            if partition.channel == channel:
                size = rng.randint(1, most) if rng else most
                chunks[partition] = records[partition][positions[partition] : positions[partition] + size]
                positions[partition] += len(chunks[partition])
        model.apply(projectors[channel].make(chunks))


class Telling(ReadModel):
    def apply(self, *arguments: Any) -> None:
        super().apply(*arguments)
        sys.stdout.write("a batch\n")
        sys.stdout.flush()


def main(url: str) -> None:
    model = Telling(open_database(url), "clawx", 2)
    model.prepare()
    project(model, write(), random.Random(), most=9)


if __name__ == "__main__":
    main(sys.argv[1])
