"""Random records of any type, made from its annotations as a person would read them; the same for the same seed."""

import random
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bus.record import BUS_RECORDS, Claimed, Fact, Posted, Record, Report, Value
from services.records import LANGUAGE

TYPES: tuple[type[Record], ...] = (*LANGUAGE, *BUS_RECORDS)
EDGES = (0, -1, 63, 64, -64, -65, 2**31, 2**63 - 1, -(2**63))
LETTERS = 'aZ0 |/:"\\\n\0é漢🙂\u202e'


def _text(rng: random.Random) -> str:
    return "".join(rng.choices(LETTERS, k=rng.choice((0, 1, 3, 8, 70))))


def _long(rng: random.Random) -> int:
    return rng.choice((rng.choice(EDGES), rng.randrange(-(2**63), 2**63)))


def _double(rng: random.Random) -> float:
    return rng.choice((0.0, -0.5, 1e300, float("inf"), rng.random()))


PRIMITIVES: dict[Any, Callable[[random.Random], Any]] = {
    str: _text,
    int: _long,
    float: _double,
    bool: lambda rng: rng.random() < 0.5,
    bytes: lambda rng: rng.randbytes(rng.choice((0, 1, 9))),
}


def _of(rng: random.Random, annotation: Any) -> Any:
    if annotation in PRIMITIVES:
        return PRIMITIVES[annotation](rng)
    if isinstance(annotation, type) and issubclass(annotation, Value):
        return value(rng, annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        return tuple(_of(rng, arguments[0]) for _ in range(rng.choice((0, 1, 3))))
    if origin is Mapping:
        return {_text(rng): _of(rng, arguments[1]) for _ in range(rng.choice((0, 1, 3)))}
    if origin in (typing.Union, types.UnionType):
        chosen = rng.choice(arguments)
        return None if chosen is type(None) else _of(rng, chosen)
    raise TypeError(f"no values are made for {annotation}")


def value(rng: random.Random, kind: type[Any]) -> Any:
    """A value of a group or a record type."""
    return kind(**{name: _of(rng, info.annotation) for name, info in kind.model_fields.items()})


def records(kind: type[Record], count: int) -> Iterator[Any]:
    """So many records of a type."""
    rng = random.Random(kind.__name__)
    return (value(rng, kind) for _ in range(count))


def kind_of(record: Record) -> str:
    """As what it stands in the log."""
    if isinstance(record, Claimed):
        return "claim"
    return "fact" if isinstance(record, Fact) else "report" if isinstance(record, Report) else "ask"


def kinds_of(record: Record) -> list[str]:
    """All that it may stand as."""
    return [kind_of(record), "post"] if isinstance(record, Posted) else [kind_of(record)]
