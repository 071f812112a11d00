"""The tester: turns the examples of the specification into tests, runs them, and says what failed."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

TIMEOUT_S = 60
Example = dict[str, Any]

_TESTS = '''\
"""The examples of the specification, as tests."""

import unittest
from decimal import Decimal

from {module} import {refusal}, {function}


class Examples(unittest.TestCase):
{cases}


if __name__ == "__main__":
    unittest.main()
'''
_COSTS = """\
    def test_line_{line}(self) -> None:
        self.assertEqual({function}(Decimal("{kg}"), express={express}), Decimal("{price}"))
"""
_REFUSED = """\
    def test_line_{line}(self) -> None:
        with self.assertRaises({refusal}):
            {function}(Decimal("{kg}"), express={express})
"""


def test(inputs: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    requirements, plan = json.loads(inputs["requirements"]), json.loads(inputs["design"])
    tests = write_tests(plan, requirements["examples"])
    passed, log = run_tests(plan["module"], inputs["module"], tests)
    failed = {int(line) for line in re.findall(r"^(?:FAIL|ERROR): test_line_(\d+)", log, re.MULTILINE)}
    failures = [example for example in requirements["examples"] if example["line"] in failed]
    print(f"{len(requirements['examples'])} tests, {len(failures)} failed", file=sys.stderr)
    result = {"passed": passed, "tests": len(requirements["examples"]), "failed_lines": sorted(failed)}
    feedback = json.dumps({"failures": failures, "log": log}, indent=1)
    return result, {"tests": tests, "test_log": log, "feedback": feedback}


def write_tests(plan: dict[str, Any], examples: list[Example]) -> str:
    cases = [
        (_REFUSED if example["price"] is None else _COSTS).format(
            **example, function=plan["function"], refusal=plan["refusal"]
        )
        for example in examples
    ]
    return _TESTS.format(
        module=plan["module"], function=plan["function"], refusal=plan["refusal"], cases="\n".join(cases).rstrip()
    )


def run_tests(module: str, source: str, tests: str) -> tuple[bool, str]:
    """In a directory of their own, by a Python of their own: the code under test is nobody's friend yet."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, f"{module}.py").write_text(source, encoding="utf-8")
        Path(directory, f"test_{module}.py").write_text(tests, encoding="utf-8")
        command = [sys.executable, "-B", "-m", "unittest", "-v", f"test_{module}"]
        try:
            done = subprocess.run(
                command, cwd=directory, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return False, f"The tests did not end within {TIMEOUT_S} seconds.\n"
        return done.returncode == 0, done.stderr.replace(directory, ".")
