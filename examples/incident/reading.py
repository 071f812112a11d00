"""Reads the lines of an access log; some may be broken, most must not be."""

import json
import re
from typing import Any

LINE = re.compile(r"(?P<time>\S+) (?P<address>\S+) (?P<method>[A-Z]+) (?P<path>/\S*) (?P<status>\d{3}) (?P<ms>\d+)")
BROKEN_SHARE_MAX = 0.1


class LogUnreadable(Exception):
    """The log cannot be used; the message says why."""


def read_log(inputs: dict[str, str], _: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    lines = [line.strip() for line in inputs["log"].splitlines() if line.strip()]
    found = [match.groupdict() for line in lines if (match := LINE.fullmatch(line))]
    broken = len(lines) - len(found)
    if not lines or broken > BROKEN_SHARE_MAX * len(lines):
        raise LogUnreadable(f"{broken} of {len(lines)} lines are no requests")
    requests = [{**each, "status": int(each["status"]), "ms": int(each["ms"])} for each in found]
    return {"requests": len(requests), "broken": broken}, {"requests": json.dumps(requests)}
