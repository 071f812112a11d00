"""The notary keeps the chains of a log as it grows, holds them against what was signed before, and signs anew."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from bus.channel import STATE_CHANNELS, Partition
from bus.log import Stored
from services.audit.chain import Chain
from services.audit.checkpoint import Anchor, Checkpoint, describe, make_anchor, read_checkpoint, write_anchor
from services.audit.signing_key import FILE, SigningKey, check_signature, keep_signing_key

CHECKPOINTS, ANCHOR = "checkpoints.jsonl", "anchor.jsonl"
"""Files of a namespace: every checkpoint ever signed, a line each, and the newest anchor."""


class Notary:
    """The chains of all partitions that are kept for ever, from their first records on."""

    def __init__(
        self, namespace: str, partitions: int, key: SigningKey, directory: Path, signed: Iterable[Checkpoint] = ()
    ) -> None:
        self._namespace, self._partitions, self._key, self._directory = namespace, partitions, key, directory
        places = [Partition(channel, number) for channel in STATE_CHANNELS for number in range(partitions)]
        self.chains = {partition: Chain(partition) for partition in places}
        self.previous = ""
        self._owed: dict[Partition, dict[int, bytes]] = {partition: {} for partition in places}
        for checkpoint in signed:
            self.previous = checkpoint.root
            for partition, head in checkpoint.heads.items():
                if head.offset:
                    self._owed[partition][head.offset] = head.chain

    @classmethod
    def open(cls, namespace: str, partitions: int, data: Path) -> Notary:
        """With the key and the checkpoints of a data directory. Raises AnchorInvalid for one that nobody signed."""
        directory, key = directory_of(data, namespace), keep_signing_key(data / "audit" / FILE)
        return cls(namespace, partitions, key, directory, read_checkpoints(directory, key))

    def take(self, partition: Partition, records: Iterable[Stored]) -> Iterator[int]:
        """Take in the next records; gives each offset before which the log is not what a checkpoint says."""
        chain, owed = self.chains[partition], self._owed[partition]
        for stored in records:
            chain.extend([stored])
            expected = owed.pop(chain.offset, None)
            if expected is not None and expected != chain.head:
                yield chain.offset

    def missing(self) -> list[Partition]:
        """Partitions of which less was taken in than was signed before: not read yet, or cut off."""
        return [partition for partition, owed in self._owed.items() if owed]

    def sign(self, made_at_ms: int) -> Anchor:
        """State what stands in the log now, and keep it."""
        anchor = make_anchor(
            self.chains.values(),
            self._key,
            namespace=self._namespace,
            partitions=self._partitions,
            made_at_ms=made_at_ms,
            previous=self.previous,
        )
        self.previous = anchor.checkpoint.root
        keep_anchor(anchor, self._directory)
        return anchor


def directory_of(data: Path, namespace: str) -> Path:
    """Where the checkpoints of a namespace are kept."""
    return data / "audit" / namespace


def read_checkpoints(directory: Path, key: SigningKey) -> list[Checkpoint]:
    """All that were signed, the oldest first. Raises AnchorInvalid for one that this key did not sign."""
    path = directory / CHECKPOINTS
    found = [read_checkpoint(line) for line in path.read_text().splitlines()] if path.exists() else []
    for checkpoint in found:
        check_signature(checkpoint, key.public_key)
    return found


def keep_anchor(anchor: Anchor, directory: Path) -> None:
    """Add the checkpoint to the others, and put the anchor in place of the one before."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / CHECKPOINTS).open("a") as file:
        file.write(json.dumps(describe(anchor.checkpoint)) + "\n")
    write_file(anchor, directory / ANCHOR)


def write_file(anchor: Anchor, path: Path) -> None:
    """Write an anchor, which appears whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w") as file:
        file.writelines(f"{line}\n" for line in write_anchor(anchor))
    partial.replace(path)
