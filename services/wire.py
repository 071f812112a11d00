"""Envelopes as JSON: what stands between the gateway and its clients."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from bus.channel import Position
from bus.errors import BusError, Refused, UnknownRecordType
from bus.record import Ask, BusRecord, Envelope, Origin, Record, Report

LINE_BYTES_MAX = 1024 * 1024
"""Longest envelope as JSON: the largest record with its bytes as base64 and room for escapes."""


def envelope_to_json(envelope: Envelope) -> str:
    """One line of JSON."""
    head = {
        "type": type(envelope.record).__name__,
        "id": envelope.id,
        "position": str(envelope.at),
        "key": envelope.key,
        "time_ms": envelope.time_ms,
        "trace": envelope.trace,
        "origin": envelope.origin._asdict(),
    }
    return f'{json.dumps(head, ensure_ascii=False)[:-1]}, "record": {envelope.record.model_dump_json()}}}'


def envelope_from_json(text: str | bytes, types: Mapping[str, type[Record]]) -> Envelope:
    """The envelope that `envelope_to_json` wrote; raises UnknownRecordType, or ValueError for what is none."""
    found = json.loads(text)
    kind = types.get(found["type"])
    if kind is None:
        raise UnknownRecordType(f"record type {found['type']!r} is not known here; upgrade this program first")
    return Envelope(
        record=kind.model_validate_json(json.dumps(found["record"])),
        id=found["id"],
        origin=Origin(**found["origin"]),
        at=Position.parse(found["position"]),
        time_ms=found["time_ms"],
        trace=found["trace"],
        key=found["key"],
    )


def record_type(name: str, types: Mapping[str, type[Record]]) -> type[Record]:
    """The type of this name; raises UnknownRecordType with the nearest one."""
    if name in types:
        return types[name]
    near = difflib.get_close_matches(name, types, n=1)
    raise UnknownRecordType(f"there is no record type {name!r}" + (f"; did you mean {near[0]}?" if near else ""))


def read_record(kind: type[Record], text: str | bytes) -> Record:
    """A record that somebody wants to publish, from JSON; raises Refused naming every field that is wrong."""
    if not issubclass(kind, Ask | Report) or issubclass(kind, BusRecord):
        raise Refused(f"{kind.__name__} is said by its owner alone; only asks and reports may be published")
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise Refused(f"this is no {kind.__name__}: {_faults(error, kind)}") from error


def _faults(error: ValidationError, kind: type[Record]) -> str:
    faults = []
    for each in error.errors(include_url=False, include_input=False):
        field = ".".join(map(str, each["loc"]))
        near = difflib.get_close_matches(field, kind.model_fields, n=1) if each["type"] == "extra_forbidden" else []
        said = "is not known" if each["type"] == "extra_forbidden" else each["msg"][:1].lower() + each["msg"][1:]
        faults.append(f"{field}: {said}".removeprefix(": ") + (f", did you mean {near[0]}?" if near else ""))
    return "; ".join(faults)


def error_to_problem(error: BusError, status: int) -> dict[str, object]:
    """A failure of the bus as an RFC 9457 problem; `error` is its class."""
    return problem(status, str(error), error=type(error).__name__)


def problem(status: int, detail: str, **more: object) -> dict[str, object]:
    """An RFC 9457 problem."""
    from http import HTTPStatus

    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}


def problem_to_error(found: Any) -> BusError:
    """The failure that a problem tells of, as the same class where it is one of the bus."""
    import bus.errors as errors

    if not isinstance(found, dict):
        return errors.Unavailable("the server's answer is none of ours")
    kind = getattr(errors, str(found.get("error", "")), None)
    detail = str(found.get("detail", found.get("title", "the server refused without a reason")))
    if isinstance(kind, type) and issubclass(kind, BusError):
        return kind(detail)
    refused = isinstance(status := found.get("status"), int) and 400 <= status < 500
    return errors.Refused(detail) if refused else errors.Unavailable(detail)
