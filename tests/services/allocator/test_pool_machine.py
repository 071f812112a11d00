"""The pool under random asks, joins, losses and releases: never over-granted, every ask answered exactly once."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bus.record import Fact, Record
from bus.testing import given
from services.allocator.pool import NODE_WAIT_MS, POOL
from services.records.content import Resources
from services.records.event import (
    CapacityFreed,
    CapacityGranted,
    CapacityRefused,
    CapacityReleased,
    CapacityRequested,
    HostLost,
    NodeAccepted,
    NodeCordonRequested,
    NodeJoined,
    NodeLeft,
    NodeLost,
    SubjectLost,
    pool_key,
)

DIMENSIONS = ("cpu_millis", "memory_mib", "storage_mib", "gpus", "api_calls_per_minute", "slots")
NODES = st.sampled_from(["a", "b", "c"])
CAPACITIES = st.builds(Resources, cpu_millis=st.integers(0, 9), memory_mib=st.integers(0, 9), slots=st.integers(0, 9))
NEEDS = st.builds(Resources, cpu_millis=st.integers(-1, 4), memory_mib=st.integers(0, 4), slots=st.integers(0, 3))


def total(granted: list[Resources], name: str) -> int:
    return sum(getattr(resources, name) for resources in granted)


class PoolMachine(RuleBasedStateMachine):
    """Keeps books of its own, from the facts alone."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = given(POOL)
        self.heard: list[tuple[Record, str]] = []
        self.asked: list[str] = []
        self.sessions: dict[str, list[str]] = {}
        self.capacity: dict[str, Resources] = {}
        self.solid: dict[str, Resources] = {}
        self.live: dict[str, CapacityGranted] = {}
        self.answers: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()

    def hear(self, record: Record, record_id: str = "") -> None:
        record_id = record_id or f"record {len(self.heard)}"
        self.heard.append((record, record_id))
        self.pool.when(record, record_id=record_id)
        self.book(self.pool.facts)

    def book(self, facts: list[Fact]) -> None:
        for fact in facts:
            if isinstance(fact, NodeAccepted):
                self.capacity[fact.node_session] = fact.capacity
            elif isinstance(fact, NodeLost):
                del self.capacity[fact.node_session]
            elif isinstance(fact, CapacityGranted):
                self.answers[fact.grant_id] += 1
                self.live[fact.grant_id] = fact
            elif isinstance(fact, CapacityRefused):
                self.answers[fact.grant_id] += 1
            elif isinstance(fact, CapacityFreed | HostLost):
                self.ends[fact.grant_id] += 1
                del self.live[fact.grant_id]

    @rule(node=NODES, capacity=CAPACITIES, times=st.integers(1, 3))
    def join(self, node: str, capacity: Resources, times: int) -> None:
        """A node that promises most of what it has several times."""
        sessions = self.sessions.setdefault(node, [])
        sessions.append(f"{node}{len(sessions)}")
        more = {"cpu_millis": capacity.cpu_millis * times, "memory_mib": capacity.memory_mib * times}
        offered = capacity.model_copy(update=more)
        self.solid[sessions[-1]] = capacity
        self.hear(NodeJoined(pool="p", node_id=node, node_session=sessions[-1], capacity=offered, solid=capacity))

    @rule(node=NODES, back=st.integers(1, 2), orderly=st.booleans())
    def lose(self, node: str, back: int, orderly: bool) -> None:
        session = (["", "", *self.sessions.get(node, [])])[-back]
        if orderly:
            self.hear(NodeLeft(pool="p", node_id=node, node_session=session))
        else:
            self.hear(SubjectLost(subject=f"node:{node}", owner_key=pool_key("p"), session=session))

    @rule(node=NODES, cordoned=st.booleans())
    def cordon(self, node: str, cordoned: bool) -> None:
        self.hear(NodeCordonRequested(pool="p", node_id=node, cordoned=cordoned))

    @rule(need=NEEDS, avoid=st.lists(NODES, max_size=1), guaranteed=st.booleans())
    def request(self, need: Resources, avoid: list[str], guaranteed: bool) -> None:
        grant_id = f"g{len(self.asked):03}"
        self.asked.append(grant_id)
        self.hear(
            CapacityRequested(
                pool="p",
                workspace_id="w",
                instance_id="i",
                grant_id=grant_id,
                resources=need,
                avoid=tuple(avoid),
                guaranteed=guaranteed,
            )
        )

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if self.asked:
            grant_id = data.draw(st.sampled_from(self.asked))
            self.hear(CapacityReleased(pool="p", workspace_id="w", instance_id="i", grant_id=grant_id))

    @rule(data=st.data())
    def hear_again(self, data: st.DataObject) -> None:
        """What was heard once may say nothing new, unless it is a release of what was granted since."""
        if self.heard:
            record, record_id = data.draw(st.sampled_from(self.heard))
            before = self.pool.state
            self.hear(record, record_id)
            if not isinstance(record, CapacityReleased | NodeLeft | SubjectLost):
                assert self.pool.facts == []
                assert self.pool.state is before

    @rule(passed_ms=st.integers(0, NODE_WAIT_MS))
    def wait(self, passed_ms: int) -> None:
        self.pool.at(self.pool.now_ms + passed_ms)
        while (first := POOL.deadlines(self.pool.state).first()) and first[0] <= self.pool.now_ms:
            self.pool.when_deadline()
            assert self.pool.facts
            self.book(self.pool.facts)

    @invariant()
    def never_over_granted(self) -> None:
        for session, capacity in self.capacity.items():
            granted = [grant.resources for grant in self.live.values() if grant.node_session == session]
            for name in DIMENSIONS:
                assert total(granted, name) <= getattr(capacity, name)
                left = getattr(self.pool.state.sessions[session].free, name)
                assert left == getattr(capacity, name) - total(granted, name)

    @invariant()
    def what_is_guaranteed_is_really_there(self) -> None:
        for session in self.capacity:
            kept = [
                grant.resources for grant in self.live.values() if grant.node_session == session and grant.guaranteed
            ]
            for name in DIMENSIONS:
                assert total(kept, name) <= getattr(self.solid[session], name)

    @invariant()
    def what_is_granted_is_what_the_books_say(self) -> None:
        assert dict(self.pool.state.grants) == {name: grant.node_session for name, grant in self.live.items()}

    @invariant()
    def answered_at_most_once(self) -> None:
        assert all(count == 1 for count in (*self.answers.values(), *self.ends.values()))
        waiting = set(self.pool.state.queued)
        assert waiting == set(self.asked) - set(self.answers)

    def teardown(self) -> None:
        """When all is quiet every ask has its answer and nothing is held."""
        self.wait(NODE_WAIT_MS)
        assert set(self.answers) == set(self.asked)
        for grant_id in sorted(self.live):
            self.hear(CapacityReleased(pool="p", workspace_id="w", instance_id="i", grant_id=grant_id))
        assert not self.live
        assert not self.pool.state.grants
        assert set(self.pool.state.sessions) == set(self.capacity)
        assert all(node.free == node.capacity for node in self.pool.state.sessions.values())
        assert POOL.deadlines(self.pool.state).first() is None


PoolMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestPool = PoolMachine.TestCase
