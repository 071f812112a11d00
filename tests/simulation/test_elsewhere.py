"""I17: a seed makes the same log, and a log folds to the same states, in any process."""

import json
import os
import subprocess
import sys

import pytest

from tests.simulation.bank import run_world
from tests.simulation.bank_digest import told

SEEDS = tuple(range(8))
ELSEWHERE = (
    {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "4242", "TZ": "America/St_Johns", "LC_ALL": "tr_TR.UTF-8", "PYTHONUTF8": "0"},
)


@pytest.mark.parametrize("elsewhere", ELSEWHERE, ids=["kathmandu", "newfoundland"])
def test_another_process_comes_to_the_same_log_and_states(elsewhere: dict[str, str]) -> None:
    command = [sys.executable, "-m", "tests.simulation.bank_digest", *map(str, SEEDS)]
    found = subprocess.run(
        command, env=os.environ | elsewhere, capture_output=True, text=True, check=True, timeout=55
    ).stdout
    for seed, there in zip(SEEDS, json.loads(found), strict=True):
        world = run_world(seed)
        assert not world.wrong
        assert there == told(world), f"seed {seed} is another world elsewhere"
        assert len(there) > 4, "there were no states to compare"
