"""Judges how urgent what was found is, and writes it down for whoever has to act."""

import json
from typing import Any


def judge(inputs: dict[str, str], _: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    failures, suspects = json.loads(inputs["failures"]), json.loads(inputs["suspects"])
    reasons = []
    if failures["failed"]:
        reasons.append((2 if failures["failed"] > 10 else 1, f"{failures['failed']} requests failed"))
    if any(path.startswith("/api/pay") for path, _ in failures["paths"]):
        reasons.append((1, "customers could not pay"))
    reasons += [(1, f"{address} guessed passwords {count} times") for address, count in suspects]
    urgency = sum(weight for weight, _ in reasons)
    said = {"urgency": urgency, "reasons": [reason for _, reason in reasons]}
    return {"urgency": urgency}, {"judgement": json.dumps(said)}


def write_report(inputs: dict[str, str], values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    failures, suspects = json.loads(inputs["failures"]), json.loads(inputs["suspects"])
    judgement = json.loads(inputs["judgement"])
    head = "# ALARM" if values.get("tone") == "alarm" else "# Notice"
    lines = [f"{head}: {', '.join(judgement['reasons'])}", ""]
    if failures["failed"]:
        share = 100 * failures["failed"] / failures["requests"]
        span = f"From {failures['from']} to {failures['to']}"
        part = f"{failures['failed']} of {failures['requests']} requests failed ({share:.0f} %)"
        lines += [
            f"{span}, {part}; the slowest took {failures['slowest_ms']} ms.",
            "",
            "| path | failed |",
            "|---|---|",
            *(f"| `{path}` | {count} |" for path, count in failures["paths"]),
            "",
        ]
    if suspects:
        lines += ["## Passwords guessed", "", *(f"- `{address}`: {count} times" for address, count in suspects), ""]
    lines += ["## What to do", "", *(f"- [ ] {step}" for step in _steps(failures, suspects)), ""]
    return {"lines": len(lines)}, {"report": "\n".join(lines)}


def _steps(failures: dict[str, Any], suspects: list[Any]) -> list[str]:
    steps = [f"Find out why `{path}` failed" for path, _ in failures["paths"][:2]]
    return steps + [f"Block {address}, and look at which accounts it tried" for address, _ in suspects]
