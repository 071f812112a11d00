"""Assignments: a share that is told when it changes, and only then."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from bus.address import join_group
from bus.assignment import Assignment, StaticAssignment
from bus.backends.kafka import KafkaLog
from bus.backends.kafka_sharing import share_out
from bus.backends.sqlite import SqliteLog
from tests.eventually import eventually

ALL = frozenset(range(8))
ROOT = Path(__file__).parents[2]


class Watch:
    """All that an assignment has told."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.told: list[frozenset[int]] = []
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        async for numbers in self.assignment.watch():
            self.told.append(numbers)

    @property
    def numbers(self) -> frozenset[int] | None:
        return self.told[-1] if self.told else None

    async def close(self) -> None:
        """Close the assignment, which ends the watch."""
        await self.assignment.close()
        await asyncio.wait_for(self._task, 60)


@pytest_asyncio.fixture
async def log(kafka: str, namespace: str) -> AsyncIterator[KafkaLog]:
    log = await KafkaLog.connect(kafka, namespace=namespace)
    yield log
    await log.close()


async def test_a_static_assignment_is_told_once_and_ends_when_closed() -> None:
    watch = Watch(StaticAssignment([2, 0]))
    await eventually(lambda: watch.told)
    await watch.close()
    assert watch.told == [frozenset({0, 2})]


async def test_whoever_has_the_embedded_log_owns_all_partitions(tmp_path: Path) -> None:
    log = await SqliteLog.open(tmp_path, partitions=8)
    watch = Watch(await join_group(log, "router"))
    await eventually(lambda: watch.numbers == ALL)
    await watch.close()
    await log.close()


async def test_members_share_and_the_one_that_stays_gets_all_back(log: KafkaLog) -> None:
    first = Watch(await join_group(log, "router"))
    await eventually(lambda: first.numbers == ALL, what="the only member has all")
    second = Watch(await join_group(log, "router"))
    await eventually(lambda: first.numbers and second.numbers and not first.numbers & second.numbers, what="both share")
    shares = [each.numbers or frozenset() for each in (first, second)]
    assert frozenset.union(*shares) == ALL
    assert list(map(len, shares)) == [4, 4]
    await second.close()
    await eventually(lambda: first.numbers == ALL, what="who leaves is replaced at once")
    await first.close()
    assert len(first.told) == 3


async def test_groups_of_different_services_do_not_share(log: KafkaLog) -> None:
    watches = [Watch(await join_group(log, name)) for name in ("router", "health")]
    await eventually(lambda: all(each.numbers == ALL for each in watches))
    for each in watches:
        await each.close()


async def test_a_rebalance_that_gives_the_same_back_shows_nothing(kafka: str, namespace: str) -> None:
    """Two members have one number each; the third gets none and moves none."""
    log = await KafkaLog.connect(kafka, namespace=namespace, partitions=2)
    members = [Watch(await join_group(log, "router")) for _ in range(2)]
    await eventually(lambda: {each.numbers for each in members} == {frozenset({0}), frozenset({1})})
    told = [list(each.told) for each in members]
    third = Watch(await join_group(log, "router"))
    await eventually(lambda: third.told)
    assert third.told == [frozenset()]
    assert [each.told for each in members] == told
    for each in (*members, third):
        await each.close()
    await log.close()


JOINING = """
import asyncio, sys
from bus.address import join_group, open_log

async def join(url):
    group = await join_group(await open_log(url), "router")
    async for numbers in group.watch():
        print(*sorted(numbers), flush=True)

asyncio.run(join(sys.argv[1]))
"""


async def test_a_member_that_dies_is_replaced_within_its_session(kafka: str, log: KafkaLog) -> None:
    command = [sys.executable, "-c", JOINING, f"kafka://{kafka}?namespace={log.namespace}"]
    other = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert other.stdout
    assert await other.stdout.readline() == b"0 1 2 3 4 5 6 7\n"
    watch = Watch(await join_group(log, "router"))
    await eventually(lambda: watch.numbers and len(watch.numbers) == 4)
    other.kill()
    await other.communicate()
    await eventually(lambda: watch.numbers == ALL)
    await watch.close()


members = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.sets(st.integers(0, 9)), min_size=1, max_size=6)


@given(st.integers(0, 8), members)
def test_shares_are_even_cover_all_and_overlap_nowhere(count: int, held: dict[str, set[int]]) -> None:
    shares = share_out(range(count), held)
    assert shares.keys() == held.keys()
    assert sorted(number for share in shares.values() for number in share) == list(range(count))
    lengths = {len(share) for share in shares.values()}
    assert max(lengths) - min(lengths) <= 1


@given(st.integers(0, 8), members)
def test_sharing_out_again_moves_nothing(count: int, held: dict[str, set[int]]) -> None:
    shares = share_out(range(count), held)
    assert share_out(range(count), shares) == shares


@given(st.integers(0, 8), members)
def test_when_one_leaves_or_joins_the_others_only_gain_or_only_lose(count: int, held: dict[str, set[int]]) -> None:
    before = share_out(range(count), held)
    after = share_out(range(count), {**before, "new": []})
    assert all(set(after[member]) <= set(before[member]) for member in before)
    again = share_out(range(count), {member: share for member, share in after.items() if member != "new"})
    assert all(set(again[member]) >= set(after[member]) for member in again)
