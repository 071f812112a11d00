"""What the receiver of a webhook has acknowledged: kept in a file, so that a restart loses no alarm."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bus.channel import Partition
from bus.errors import Refused, Unavailable
from bus.fence import Fences
from bus.reader import Place
from bus.record import HeardInput, Value


class Acknowledged(Value):
    """All alarms before these places, and those of these ids behind them."""

    inputs: tuple[HeardInput, ...]  # by partition number
    ids: tuple[str, ...] = ()

    @classmethod
    def until(cls, places: Mapping[Partition, Place]) -> Acknowledged:
        """All that stands before these places, which are those of every partition of one channel."""
        return cls(
            inputs=tuple(
                HeardInput(channel=partition.channel, offset=place.offset, fences=Fences(dict(place.fences)).saved())
                for partition, place in sorted(places.items())
            )
        )

    def places(self) -> dict[Partition, Place]:
        """Where reading goes on."""
        return {
            Partition(heard.channel, number): Place(heard.offset, Fences.restored(heard.fences).by_role)
            for number, heard in enumerate(self.inputs)
        }

    def extend(self, webhook_id: str) -> Acknowledged:
        """With one more behind the places."""
        return self.model_copy(update={"ids": (*self.ids, webhook_id)})


def load(path: Path) -> Acknowledged | None:
    """None where nothing was ever saved. Raises Refused for a file that was not written by `save`."""
    try:
        return Acknowledged.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Refused(
            f"{path} must hold what a webhook has delivered, and cannot be read: put it back, or remove it and the "
            "webhook goes on with the next alarm"
        ) from error


def save(path: Path, acknowledged: Acknowledged) -> None:
    """Swap the file, such that a crash leaves the old or the new one. Raises Unavailable."""
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(acknowledged.model_dump_json().encode())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror}") from error
