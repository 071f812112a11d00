"""Checkpoints: signed statements of what stood in a log, small enough to be kept far from it.

A checkpoint names for each partition its length, the head of its chain and the Merkle root of its blocks, and the
root over all of them; it is signed with Ed25519 and names the checkpoint before it. An anchor is a checkpoint together
with the marks and tags that its roots are made of, so that what was changed can be found and not only noticed.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from bus.channel import Partition
from services.audit.chain import BLOCK_RECORDS, TAG_BYTES, Chain, blocks_of, root_of

FORMAT = 1


class AnchorInvalid(Exception):
    """The file is no anchor, or it was changed, or somebody else signed it."""


class Signer(Protocol):
    """Whoever vouches for a log."""

    @property
    def public_key(self) -> bytes: ...

    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is said of one partition."""

    offset: int  # of the next record
    chain: bytes
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A signed statement; `heads` are in the order of the partitions."""

    namespace: str
    partitions: int
    made_at_ms: int
    heads: Mapping[Partition, Head]
    previous: str = ""  # root of the checkpoint before it
    public_key: bytes = b""
    signature: bytes = b""

    @property
    def root(self) -> str:
        """The Merkle root over all partitions, as hexadecimal digits."""
        leaves = [_said(partition, head) for partition, head in sorted(self.heads.items())]
        return root_of(leaves).hex()

    def message(self) -> bytes:
        """What is signed."""
        said = {**_describe_head(self), "root": self.root, "key": self.public_key.hex()}
        return b"clawx checkpoint\n" + json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A checkpoint, and for each partition the marks and tags that its root is made of."""

    checkpoint: Checkpoint
    heads: Mapping[Partition, tuple[bytes, ...]]
    tags: Mapping[Partition, bytes]


def _said(partition: Partition, head: Head) -> bytes:
    return f"{partition}|{head.offset}|".encode() + head.chain + head.root


def make_anchor(
    chains: Iterable[Chain], signer: Signer, *, namespace: str, partitions: int, made_at_ms: int, previous: str = ""
) -> Anchor:
    """State what these chains have come to."""
    chains = list(chains)
    heads = {each.partition: Head(offset=each.offset, chain=each.head, root=each.root()) for each in chains}
    unsigned = Checkpoint(
        namespace=namespace,
        partitions=partitions,
        made_at_ms=made_at_ms,
        heads=dict(sorted(heads.items())),
        previous=previous,
        public_key=signer.public_key,
    )
    return Anchor(
        checkpoint=replace(unsigned, signature=signer.sign(unsigned.message())),
        heads={each.partition: tuple(each.heads()) for each in chains},
        tags={each.partition: bytes(each.tags) for each in chains},
    )


# As lines of JSON.


def write_anchor(anchor: Anchor) -> Iterator[str]:
    """The checkpoint in the first line, then a line for each partition that holds anything."""
    yield json.dumps(describe(anchor.checkpoint))
    for partition, heads in sorted(anchor.heads.items()):
        if heads:
            yield json.dumps(
                {"partition": str(partition), "heads": _text(b"".join(heads)), "tags": _text(anchor.tags[partition])}
            )


def describe(checkpoint: Checkpoint) -> dict[str, object]:
    """A checkpoint as one line of JSON."""
    return {
        **_describe_head(checkpoint),
        "root": checkpoint.root,
        "key": checkpoint.public_key.hex(),
        "signature": checkpoint.signature.hex(),
    }


def _describe_head(checkpoint: Checkpoint) -> dict[str, object]:
    return {
        "format": FORMAT,
        "namespace": checkpoint.namespace,
        "partitions": checkpoint.partitions,
        "made_at_ms": checkpoint.made_at_ms,
        "block_records": BLOCK_RECORDS,
        "previous": checkpoint.previous,
        "heads": {
            str(partition): {"offset": head.offset, "chain": head.chain.hex(), "root": head.root.hex()}
            for partition, head in checkpoint.heads.items()
        },
    }


def read_checkpoint(text: str) -> Checkpoint:
    """The checkpoint of a line, its signature not yet checked. Raises AnchorInvalid."""
    try:
        said: dict[str, Any] = json.loads(text)
        if (said["format"], said["block_records"]) != (FORMAT, BLOCK_RECORDS):
            raise AnchorInvalid(f"it is of format {said['format']} with blocks of {said['block_records']} records")
        found = Checkpoint(
            namespace=str(said["namespace"]),
            partitions=int(said["partitions"]),
            made_at_ms=int(said["made_at_ms"]),
            heads=dict(sorted((_partition(name), _head(head)) for name, head in said["heads"].items())),
            previous=str(said["previous"]),
            public_key=bytes.fromhex(said["key"]),
            signature=bytes.fromhex(said["signature"]),
        )
        if found.root != said["root"]:
            raise AnchorInvalid("its heads do not lead to its root")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise AnchorInvalid(f"it is no checkpoint: {type(error).__name__}: {error}") from error
    return found


def _head(said: Any) -> Head:
    return Head(offset=int(said["offset"]), chain=bytes.fromhex(said["chain"]), root=bytes.fromhex(said["root"]))


def _partition(text: str) -> Partition:
    channel, _, number = text.partition("/")
    return Partition(channel, int(number))


def read_anchor(lines: Iterable[str]) -> Anchor:
    """The anchor of a file, its signature not yet checked; its marks must lead to its roots. Raises AnchorInvalid."""
    said = iter(lines)
    checkpoint = read_checkpoint(next(said, ""))
    heads: dict[Partition, tuple[bytes, ...]] = dict.fromkeys(checkpoint.heads, ())
    tags: dict[Partition, bytes] = dict.fromkeys(checkpoint.heads, b"")
    for line in filter(str.strip, said):
        partition, heads_said, tags_said = _read_marks(line)
        heads[partition], tags[partition] = heads_said, tags_said
    for partition, head in checkpoint.heads.items():
        blocks = -(-head.offset // BLOCK_RECORDS)
        is_whole = (len(heads[partition]), len(tags[partition])) == (blocks, head.offset * TAG_BYTES)
        if not is_whole or root_of(blocks_of(heads[partition], tags[partition])) != head.root:
            raise AnchorInvalid(f"its marks of {partition} do not lead to the root that was signed")
    return Anchor(checkpoint=checkpoint, heads=heads, tags=tags)


def _read_marks(line: str) -> tuple[Partition, tuple[bytes, ...], bytes]:
    try:
        said = json.loads(line)
        joined = base64.b64decode(said["heads"], validate=True)
        heads = tuple(joined[at : at + 32] for at in range(0, len(joined), 32))
        return _partition(said["partition"]), heads, base64.b64decode(said["tags"], validate=True)
    except (KeyError, TypeError, ValueError) as error:
        raise AnchorInvalid(f"a line of it holds no marks: {type(error).__name__}: {error}") from error


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def fingerprint(public_key: bytes) -> str:
    """A public key as people compare it."""
    return f"ed25519:{hashlib.sha256(public_key).hexdigest()[:32]}"
