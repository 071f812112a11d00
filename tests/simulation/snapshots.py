"""Snapshots in bad weather: torn, flipped, lost, or of another log; who reads one that is not sound must find out."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from bus.channel import Partition
from bus.decider import Role
from bus.snapshot import Snapshot, SnapshotRefused, _pack, _unpack


class SimulatedSnapshots:
    """Kept in memory as the bytes that a file would have. Nothing is forgotten, so that old ones are loaded too."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._kept: dict[tuple[str, Partition], list[bytes]] = {}
        self.saved = self.loaded = self.refused = 0

    def save(self, role: Role[Any], home: Partition, snapshot: Snapshot) -> None:
        rng = self._rng
        if rng.random() < 0.1:
            raise OSError("simulated: the disk is full")
        if rng.random() < 0.1:
            snapshot = snapshot._replace(witness="of another log")
        data = _pack(role, snapshot)
        match rng.choice(("sound", "sound", "sound", "sound", "torn", "flipped")):
            case "torn":
                data = data[: rng.randrange(len(data))]
            case "flipped":
                at = rng.randrange(len(data))
                data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        self._kept.setdefault((role.name, home), []).append(data)
        self.saved += 1

    def load(self, role: Role[Any], home: Partition) -> Iterator[Snapshot]:
        kept = self._kept.get((role.name, home), [])
        old = self._rng.random() < 0.3
        for data in reversed(kept[: len(kept) // 2] if old else kept):
            try:
                snapshot = _unpack(role, data)
            except SnapshotRefused:
                self.refused += 1
                continue
            self.loaded += 1
            yield snapshot
