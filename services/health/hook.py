"""A webhook: where alarms are sent to, and how they are worded and signed as Standard Webhooks says."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from bus.errors import Refused
from bus.record import Envelope, Record
from services.records.event import AlarmCleared, AlarmRaised

TYPES: Mapping[type[Record], str] = {AlarmRaised: "alarm.raised", AlarmCleared: "alarm.cleared"}
"""What is delivered, and what receivers know it as."""

SECRET_PREFIX = "whsec_"
SECRET_BYTES = range(24, 65)
"""How long the key of a signature may be, as Standard Webhooks says."""

EVIDENCE_LENGTH_MAX = 1_500
NAME_LENGTH_MAX = 300
"""Characters of the evidence and of any other field that are sent: even all escaped they stay below 20 KiB."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """Its URL may hold a token of the receiver's: only `origin` is ever shown."""

    url: str = field(repr=False)
    key: bytes = field(repr=False)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        url = urlsplit(self.url)
        return f"{url.scheme}://{url.netloc}"

    def headers(self, webhook_id: str, now_s: int, body: bytes) -> Mapping[str, str]:
        """What lets the receiver know who sent this body, when, and whether it has it already."""
        signed = hmac.digest(self.key, f"{webhook_id}.{now_s}.".encode() + body, hashlib.sha256)
        return {
            "Content-Type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        }


def write_body(alarm: Envelope) -> bytes:
    """The same for each attempt."""
    fields: dict[str, str] = alarm.record.model_dump()
    lengths = dict.fromkeys(fields, NAME_LENGTH_MAX) | {"evidence": EVIDENCE_LENGTH_MAX}
    said = {name: text[: lengths[name]] for name, text in fields.items()}
    at = datetime.fromtimestamp(alarm.time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    body = {"type": TYPES[type(alarm.record)], "timestamp": at.replace("+00:00", "Z"), "data": said}
    return json.dumps(body, ensure_ascii=False).encode()


def read_hooks(urls: str, secret_file: Path | None) -> tuple[Hook, ...]:
    """The hooks of these settings, none where no URL is given. Raises Refused, never with a URL or secret in it."""
    listed = list(filter(None, map(str.strip, urls.split(","))))
    if not listed:
        return ()
    for number, url in enumerate(listed, 1):
        if not _is_safe(url):
            raise Refused(
                f"CLAWX_WEBHOOKS must hold https://HOST/PATH without a user or password, or http:// to this machine "
                f"itself, with commas between; number {number} is something else"
            )
    if len(set(listed)) < len(listed):
        raise Refused("CLAWX_WEBHOOKS must name each URL once; one is there twice")
    if secret_file is None:
        raise Refused("CLAWX_WEBHOOKS wants CLAWX_WEBHOOK_SECRET_FILE beside it: a file with whsec_ and base64")
    key = _read_key(secret_file)
    return tuple(Hook(url=url, key=key) for url in listed)


def _is_safe(text: str) -> bool:
    try:
        url = urlsplit(text)
        is_whole = bool(url.hostname) and url.port != 0 and "@" not in url.netloc
    except ValueError:
        return False
    return is_whole and (url.scheme == "https" or (url.scheme == "http" and url.hostname in LOOPBACK))


def _read_key(file: Path) -> bytes:
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise Refused(f"the file {file} of CLAWX_WEBHOOK_SECRET_FILE cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _wrong_secret(file) from error
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise _wrong_secret(file) from error
    if not text.startswith(SECRET_PREFIX) or len(key) not in SECRET_BYTES:
        raise _wrong_secret(file)
    return key


def _wrong_secret(file: Path) -> Refused:
    return Refused(
        f"the file {file} of CLAWX_WEBHOOK_SECRET_FILE must hold {SECRET_PREFIX} and 24 to 64 bytes as base64, "
        f"such as: echo {SECRET_PREFIX}$(openssl rand -base64 32)"
    )
