"""A log of real runs is decided again the same way, and a change to any Decider is told with its place."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from bus.address import view_log
from bus.blobs import DirectoryBlobs
from bus.decider import Draft, Role
from bus.difference import Difference
from bus.log import Log
from bus.record import Envelope
from services.audit.rehearsal import BEGINNING, NOW, Outcome, Point, Rehearsal, Scope, describe
from services.orchestrator.runs import RUNS
from services.records import language_codec
from services.records.task import StageCompleted, TaskCompleted
from services.topology import HOMES, ROLES
from tests.services.audit.recorded import Recorded
from tests.services.cli.conftest import Clawx


@pytest_asyncio.fixture
async def log(recorded: Recorded) -> AsyncIterator[Log]:
    log = await view_log(recorded.url)
    yield log
    await log.close()


async def rehearse(
    log: Log, recorded: Recorded, roles: Sequence[Role[Any]] = ROLES, start: Point = BEGINNING, end: Point = NOW
) -> tuple[list[Difference], Outcome]:
    rehearsal = Rehearsal(log, language_codec(), DirectoryBlobs(recorded.blobs), HOMES)
    scope = Scope(roles=roles, numbers=range(log.partitions), start=start, end=end)
    return [each async for each in rehearsal.run(scope)], rehearsal.outcome


def careless(draft: Draft[Any], heard: Envelope) -> None:
    """Runs as it is, but for one word in what completes a stage."""
    RUNS.decide(draft, heard)
    if isinstance(heard.record, TaskCompleted) and heard.record.stage == "build":
        draft.facts = [
            fact.model_copy(update={"attempts": 9}) if isinstance(fact, StageCompleted) else fact
            for fact in draft.facts
        ]


CARELESS = replace(RUNS, decide=careless)


async def test_real_runs_are_decided_again_the_same_way(log: Log, recorded: Recorded) -> None:
    found, outcome = await rehearse(log, recorded)
    assert not found
    assert outcome.decisions > 80
    assert outcome.facts > outcome.decisions
    assert (outcome.differing, outcome.speaking) == (0, 0)


async def test_a_changed_decider_is_told_once_with_its_place_and_counted(log: Log, recorded: Recorded) -> None:
    (difference,), outcome = await rehearse(log, recorded, [CARELESS])
    assert difference.reason == "fact 1 of 2: the StageCompleted would differ in attempts"
    assert outcome.differing == 2
    said = describe(difference)
    assert said["role"] == "orchestrator.runs"
    (expected, _), (decided, _) = said["expected"], said["decided"]  # type: ignore[misc]
    assert (expected["record"]["run_id"], expected["record"]["attempts"]) == (recorded.chain, 1)  # type: ignore[has-type]
    assert decided["record"]["attempts"] == 9  # type: ignore[has-type]


async def test_bounds_leave_out_what_lies_beyond_them(log: Log, recorded: Recorded) -> None:
    (first,), _ = await rehearse(log, recorded, [CARELESS])
    found, outcome = await rehearse(log, recorded, [CARELESS], end=Point(offset=first.offset))
    assert (found, outcome.differing) == ([], 0)
    found, outcome = await rehearse(log, recorded, [CARELESS], start=Point(offset=first.offset + 2))
    assert outcome.differing == 1
    found, outcome = await rehearse(log, recorded, [CARELESS], end=Point(time_ms=first.time_ms - 1))
    assert found == []
    found, outcome = await rehearse(log, recorded, [CARELESS], end=Point(time_ms=first.time_ms))
    assert outcome.differing == 1


async def test_a_walk_goes_through_all_roles_in_the_order_of_time(log: Log, recorded: Recorded) -> None:
    rehearsal = Rehearsal(log, language_codec(), DirectoryBlobs(recorded.blobs), HOMES)
    scope = Scope(roles=ROLES, numbers=range(log.partitions))
    times, roles = [], set()
    async for replay, step in rehearsal.walk(scope):
        times.append(step.decision.time_ms)
        roles.add(replay.role.name)
    assert times == sorted(times)
    assert {"orchestrator.runs", "router.roster", "factory.instances", "allocator.pool"} <= roles
    assert rehearsal.outcome.decisions > 80


def test_the_command_ends_well_where_nothing_differs(clawx: Clawx, recorded: Recorded) -> None:
    ended = clawx("replay", "--data", recorded.data)
    assert ended.code == 0
    assert "none would be different" in ended.err
    assert ended.out == ""


def test_the_command_fails_where_something_would_differ(
    clawx: Clawx, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    import services.topology

    roles = tuple(CARELESS if role is RUNS else role for role in ROLES)
    monkeypatch.setattr(services.topology, "ROLES", roles)
    ended = clawx("replay", "--data", recorded.data, "--role", "orchestrator.runs")
    assert ended.code == 1
    assert "would differ in attempts" in ended.out
    assert "2 would be different" in ended.err


def test_the_command_is_told_what_it_cannot_do(clawx: Clawx, recorded: Recorded) -> None:
    assert "there are orchestrator.runs" in clawx("replay", "--data", recorded.data, "--role", "runs").err
    assert clawx("replay", "--data", recorded.data, "--partition", 99).code == 2
    assert "no offset and no time" in clawx("replay", "--data", recorded.data, "--to", "soon").err
    assert "no log" in clawx("replay").err
