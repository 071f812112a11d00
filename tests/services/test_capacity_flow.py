"""Instances and pool together, with posts that cross and nodes that come and go: in the end both agree on grants."""

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from bus.record import Posted, Record
from bus.testing import Scenario, given
from services.allocator.pool import POOL
from services.factory.instances import INSTANCES
from services.records.content import Resources
from services.records.event import (
    InstanceDestroyRequested,
    InstanceRequested,
    InstanceStarting,
    InstanceStopping,
    NodeJoined,
    NodeLeft,
    WorkerGone,
    WorkerStarted,
)

LARGE = Resources(cpu_millis=4000, memory_mib=8192, storage_mib=40960, api_calls_per_minute=800, slots=12)
STEPS = st.sampled_from(["to pool", "to instances", "start", "stop", "die"])


class CapacityFlow(RuleBasedStateMachine):
    """Carries posts in order, late; plays nodes that obey, late, and die with their session."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = given(POOL)
        self.instances = given(INSTANCES)
        self.posts: dict[str, deque[Record]] = {POOL.name: deque(), INSTANCES.name: deque()}
        self.sessions: dict[str, str] = {}
        self.to_start: list[InstanceStarting] = []
        self.to_stop: list[InstanceStopping] = []
        self.running: list[InstanceStarting] = []
        self.heard = 0

    def hear(self, scenario: Scenario, record: Record) -> None:  # type: ignore[type-arg]
        self.heard += 1
        scenario.when(record, record_id=f"record {self.heard}")
        self.act(scenario)

    def act(self, scenario: Scenario) -> None:  # type: ignore[type-arg]
        for fact in scenario.facts:
            if isinstance(fact, Posted):
                self.posts[fact.addressee].append(fact)
            elif isinstance(fact, InstanceStarting):
                self.to_start.append(fact)
            elif isinstance(fact, InstanceStopping):
                self.to_stop.append(fact)

    @rule()
    def ask(self) -> None:
        self.hear(self.instances, InstanceRequested(workspace_id="w", profession="p"))

    @rule(data=st.data(), force=st.booleans())
    def destroy(self, data: st.DataObject, force: bool) -> None:
        if live := sorted(self.instances.state.live):
            name = data.draw(st.sampled_from(live))
            self.hear(self.instances, InstanceDestroyRequested(workspace_id="w", instance_id=name, force=force))

    @rule(node=st.sampled_from(["a", "b"]))
    def join(self, node: str) -> None:
        """Also anew: all workers of the older session are dead."""
        self.sessions[node] = f"{node}{self.heard}"
        self.running = [worker for worker in self.running if worker.node_id != node]
        self.hear(self.pool, NodeJoined(pool="default", node_id=node, node_session=self.sessions[node], capacity=LARGE))

    @rule(node=st.sampled_from(["a", "b"]))
    def leave(self, node: str) -> None:
        session = self.sessions.pop(node, "")
        self.running = [worker for worker in self.running if worker.node_id != node]
        self.hear(self.pool, NodeLeft(pool="default", node_id=node, node_session=session))

    @rule(steps=st.lists(STEPS, max_size=12))
    def go_on(self, steps: list[str]) -> None:
        for step in steps:
            self.step(step)

    def step(self, step: str) -> None:
        if step == "to pool" and self.posts[POOL.name]:
            self.hear(self.pool, self.posts[POOL.name].popleft())
        elif step == "to instances" and self.posts[INSTANCES.name]:
            self.hear(self.instances, self.posts[INSTANCES.name].popleft())
        elif step == "start" and self.to_start:
            self.start(self.to_start.pop(0))
        elif step == "stop" and self.to_stop:
            self.stop(self.to_stop.pop(0))
        elif step == "die" and self.running:
            self.tell(WorkerGone, self.running.pop(0))

    def start(self, order: InstanceStarting) -> None:
        if self.sessions.get(order.node_id) == order.node_session:
            self.running.append(order)
            self.tell(WorkerStarted, order)

    def stop(self, order: InstanceStopping) -> None:
        """A node that has a session answers each order to stop, whether or not the worker ever ran."""
        if self.sessions.get(order.node_id) == order.node_session:
            named = (order.instance_id, order.incarnation)
            self.running = [worker for worker in self.running if (worker.instance_id, worker.incarnation) != named]
            self.to_start = [late for late in self.to_start if (late.instance_id, late.incarnation) != named]
            self.tell(WorkerGone, order)

    def tell(self, what: type[WorkerStarted | WorkerGone], order: InstanceStarting | InstanceStopping) -> None:
        self.hear(
            self.instances,
            what(
                workspace_id="w",
                instance_id=order.instance_id,
                node_id=order.node_id,
                node_session=order.node_session,
                incarnation=order.incarnation,
            ),
        )

    def settle(self) -> None:
        while any(self.posts.values()) or self.to_start or self.to_stop:
            for step in ("to pool", "to instances", "start", "stop"):
                self.step(step)

    def teardown(self) -> None:
        self.settle()
        self.pool.at(self.pool.now_ms + 60_000)
        while POOL.deadlines(self.pool.state).first():
            self.pool.when_deadline()
            self.act(self.pool)
        self.settle()
        held = {instance.grant_id for instance in self.instances.state.live.values()}
        assert set(self.pool.state.grants) == held
        workers = {(worker.instance_id, worker.incarnation) for worker in self.running}
        assert {(name, i.incarnation) for name, i in self.instances.state.live.items()} == workers
        for name in sorted(self.instances.state.live):
            self.hear(self.instances, InstanceDestroyRequested(workspace_id="w", instance_id=name, force=True))
        self.settle()
        assert not self.instances.state.live
        assert not self.pool.state.grants
        assert not self.running


CapacityFlow.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestCapacityFlow = CapacityFlow.TestCase
