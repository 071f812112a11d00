"""The key that signs checkpoints: made once, readable for its owner alone, and best kept off the machine it audits."""

from __future__ import annotations

import os
from pathlib import Path

from services.audit.checkpoint import AnchorInvalid, Checkpoint, fingerprint

FILE = "signing.key"
"""Name of the file with the private key; the public one is beside it as `.pub`."""


class ProofMissing(Exception):
    """The library that signs is not installed."""


class SigningKey:
    """An Ed25519 key."""

    def __init__(self, seed: bytes) -> None:
        try:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        except ModuleNotFoundError as error:
            raise ProofMissing(f"signing needs {error.name}: pip install openclaw-x[proof]") from error
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def keep_signing_key(path: Path) -> SigningKey:
    """The key in this file as hexadecimal digits; a new one if there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        key = SigningKey(seed := os.urandom(32))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(seed.hex() + "\n")
        path.with_suffix(".pub").write_text(key.public_key.hex() + "\n")
        return key
    return SigningKey(bytes.fromhex(path.read_text().strip()))


def check_signature(checkpoint: Checkpoint, expected: bytes | None = None) -> None:
    """Raises AnchorInvalid unless the signature is right, and made with the expected key where one is given."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ModuleNotFoundError as error:
        raise ProofMissing(f"checking a signature needs {error.name}: pip install openclaw-x[proof]") from error
    found = checkpoint.public_key
    if expected is not None and found != expected:
        raise AnchorInvalid(f"{fingerprint(found)} has signed it, not {fingerprint(expected)}")
    try:
        Ed25519PublicKey.from_public_bytes(found).verify(checkpoint.signature, checkpoint.message())
    except (InvalidSignature, ValueError) as error:
        raise AnchorInvalid("its signature is not that of its content") from error
