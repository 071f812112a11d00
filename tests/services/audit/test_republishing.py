"""What was asked of one system is asked of another, which comes to the same runs by its own decisions."""

import asyncio
import json
import shutil
from pathlib import Path

from bus.client import LogBus
from services.audit.runs import LISTED, fold_runs
from services.settings import Settings
from services.system import hosted
from tests.eventually import eventually
from tests.services.audit.recorded import Recorded
from tests.services.cli.conftest import Clawx

FAR = "sqlite:///{}/far/log"


async def test_another_system_comes_to_the_same_runs(recorded: Recorded, clawx: Clawx, tmp_path: Path) -> None:
    data, far = tmp_path / "data", FAR.format(tmp_path)
    shutil.copytree(recorded.data, data)
    counted = await asyncio.to_thread(clawx, "log", "republish", "--to", far, "--dry-run", "--json")
    assert json.loads(counted.out)["written"] == 0
    assert json.loads(counted.out)["found"]["RunRequested"] == 3
    assert not (tmp_path / "far").exists()
    done = await asyncio.to_thread(clawx, "log", "republish", "--to", far, "--json")
    assert json.loads(done.out)["written"] == sum(json.loads(counted.out)["found"].values())
    async with hosted(Settings(data=data, bus=far)) as system:
        await system.decides()

        async def ended() -> dict[str, str]:
            runs = await runs_of(system.bus)
            return runs if len(runs) == 3 and "running" not in runs.values() else {}

        runs = await eventually(ended)
    assert runs == {recorded.chain: "completed", recorded.again: "completed", recorded.doomed: "failed"}


async def runs_of(bus: LogBus) -> dict[str, str]:
    found = [each async for each in bus.subscribe("task", LISTED, live=False)]
    return {run.run_id: run.status for run in fold_runs(found).values()}


def test_nothing_is_written_where_somebody_is_at_work(recorded: Recorded, clawx: Clawx, tmp_path: Path) -> None:
    data, far = tmp_path / "data", FAR.format(tmp_path)
    shutil.copytree(recorded.data, data)
    assert clawx("log", "republish", "--to", far, "--type", "RunRequested").code == 0
    refused = clawx("log", "republish", "--to", far)
    assert (refused.code, "but for --force" in refused.err) == (2, True)
    forced = clawx("log", "republish", "--to", far, "--force", "--reports", "--rate", 10_000, "--json")
    assert forced.code == 0
    assert json.loads(forced.out)["found"]["TaskCompleted"] >= 5
    assert "PostAcknowledged" not in json.loads(forced.out)["found"]


def test_it_is_told_what_cannot_be_a_target(recorded: Recorded, clawx: Clawx, data: Path) -> None:
    shutil.copytree(recorded.data, data)
    assert "--to sqlite:///PATH" in clawx("log", "republish", "--to", "elsewhere").err
    same = clawx("log", "republish", "--to", f"sqlite:///{data.absolute() / 'log'}", "--force")
    assert (same.code, "would be read from" in same.err) == (2, True)
    assert clawx("log", "republish", "--to", "sqlite:////tmp/x", "--type", "Nothing").code == 2
