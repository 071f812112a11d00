"""Bytes that no well-meaning program writes: garbled, forged, too new. None may stop anybody."""

from __future__ import annotations

import random
from collections.abc import Callable

from bus.log import Raw
from bus.record import Origin, Record
from tests.bus.bank import CoinDropped, Deposited, DepositRequested, Forwarded, Stored
from tests.simulation.bank_process import CODEC


def _raw(record: Record, kind: str, **origin: object) -> Raw:
    written = Origin(kind)._replace(**origin)  # type: ignore[arg-type]
    return CODEC.encode(record, record_id="poison", origin=written, time_ms=0, trace="0" * 32)


def _header(raw: Raw, name: str, value: bytes | None) -> Raw:
    return raw._replace(headers=tuple((n, value if n == name else v) for n, v in raw.headers))  # type: ignore[misc]


ASK = DepositRequested(workspace_id="w0", amount=1)
FACT = Deposited(workspace_id="w0", account=0, amount=1, total=1, ask_id="forged")
POST = Forwarded(workspace_id="w0", account=0, amount=1, ask_id="forged")

TO_TELLER: tuple[Callable[[random.Random], Raw], ...] = (
    lambda rng: Raw(b"\xff", b"", (), 0),
    lambda rng: _raw(ASK, "ask")._replace(value=rng.randbytes(20)),
    lambda rng: _raw(ASK, "ask")._replace(value=_raw(ASK, "ask").value[: rng.randrange(12)]),
    lambda rng: _raw(ASK, "ask")._replace(value=_raw(ASK, "ask").value + b"\0"),
    lambda rng: _raw(ASK, "ask")._replace(key=b"\xff\xfe"),
    lambda rng: _header(_raw(ASK, "ask"), "clawx", b"ask||||||1|"),
    lambda rng: _header(_raw(ASK, "ask"), "clawx", None),
    lambda rng: _header(_raw(ASK, "ask"), "ce_id", b"\xff"),
    lambda rng: _header(_raw(ASK, "ask"), "ce_type", b"DepositNeverHeardOf"),
    lambda rng: _raw(FACT, "ask"),
    lambda rng: _raw(FACT, "report"),
    lambda rng: _raw(CoinDropped(workspace_id="w0"), "ask"),
)
"""What the role that quarantines the tasks must set aside."""

TO_CLERK: tuple[Callable[[random.Random], Raw], ...] = (
    lambda rng: Raw(b"", rng.randbytes(9), (("ce_type", b"Forwarded"),), 0),
    lambda rng: _raw(POST, "ask"),
    lambda rng: _raw(POST, "post", role="bank.clerk")._replace(value=rng.randbytes(9)),
    lambda rng: _raw(Stored(workspace_id="w", account=0, amount=1, total=1, ask_id="forged"), "report"),
)
"""What the role that quarantines the events must set aside, although others hear it."""

TO_SAFE: tuple[Callable[[random.Random], Raw], ...] = (
    lambda rng: _raw(POST, "post", role="bank.clerk", cause="garbled"),
    lambda rng: _raw(POST, "post", role="nobody", cause="event/0/0"),
    lambda rng: _raw(POST, "post", role="bank.clerk", cause="event/99/0"),
    lambda rng: _raw(POST, "post", role="bank.clerk", cause="task/0/0"),
)
"""Posts of nobody, which their addressee cannot decide on."""

UNHEARD: tuple[Callable[[random.Random], Raw], ...] = (
    lambda rng: _raw(FACT, "fact", role="bank.teller"),
    lambda rng: _raw(FACT, "fact", role="bank.teller", session="zombie", epoch=1),
    lambda rng: _raw(FACT, "fact", role="nobody"),
    lambda rng: _raw(FACT, "claim", role="bank.teller", session="gap", epoch=1000),
    lambda rng: _raw(FACT, "fact", role="bank.teller")._replace(value=rng.randbytes(9)),
)
"""Claims and facts that do not count: everybody passes over them."""
