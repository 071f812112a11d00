"""Looks for minutes in which much failed, for what failed in them, and for addresses that guess passwords."""

import json
from collections import Counter
from typing import Any

FAILED_SHARE = 0.15
GUESSES = 8


def find_bad_minutes(inputs: dict[str, str], _: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    asked, failed = Counter[str](), Counter[str]()
    for request in json.loads(inputs["requests"]):
        minute = request["time"][:16]
        asked[minute] += 1
        failed[minute] += request["status"] >= 500
    bad = sorted(minute for minute in asked if failed[minute] >= FAILED_SHARE * asked[minute])
    return {"minutes": len(bad)}, {"bad_minutes": json.dumps(bad)}


def find_paths(inputs: dict[str, str], _: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    bad = set(json.loads(inputs["bad_minutes"]))
    requests = [each for each in json.loads(inputs["requests"]) if each["time"][:16] in bad]
    failed = Counter(each["path"] for each in requests if each["status"] >= 500)
    slowest = max((each["ms"] for each in requests), default=0)
    failures = {
        "from": min(bad, default=""),
        "to": max(bad, default=""),
        "requests": len(requests),
        "failed": sum(failed.values()),
        "paths": failed.most_common(5),
        "slowest_ms": slowest,
    }
    return {"failed": failures["failed"]}, {"failures": json.dumps(failures)}


def find_suspects(inputs: dict[str, str], _: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    guesses = Counter(each["address"] for each in json.loads(inputs["requests"]) if each["status"] == 401)
    suspects = [(address, count) for address, count in guesses.most_common() if count >= GUESSES]
    return {"suspects": len(suspects)}, {"suspects": json.dumps(suspects)}
