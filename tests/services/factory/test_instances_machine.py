"""Instances under random interleavings of asks, posts and reports: none is lost, no grant leaks or returns twice."""

from collections import Counter
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bus.record import Fact, Record
from bus.testing import given
from services.factory.ending import GRANTS_MAX
from services.factory.instances import INSTANCES
from services.factory.instances_state import warm_name
from services.records.event import (
    CapacityGranted,
    CapacityRefused,
    CapacityReleased,
    CapacityRequested,
    HostLost,
    InstanceAccepted,
    InstanceDestroyRequested,
    InstanceDraining,
    InstanceEnded,
    InstanceReady,
    InstanceRefused,
    InstanceRequested,
    InstanceRestarting,
    InstanceRestartRequested,
    InstanceStarting,
    InstanceStopping,
    SubjectLost,
    WarmPoolRefused,
    WarmPoolRequested,
    WarmPoolSet,
    WorkerGone,
    WorkerStarted,
)
from services.records.task import InstanceIdle, InstanceNeeded, InstanceVacated


@dataclass(slots=True)
class Grant:
    """What the pool of this test knows of a grant."""

    request: CapacityRequested
    answer: str = ""  # granted, refused
    host_lost: bool = False
    releases: int = 0
    worker_started: bool = False


class InstancesMachine(RuleBasedStateMachine):
    """Keeps books of its own, from the facts alone; plays the pool, the nodes and the roster."""

    def __init__(self) -> None:
        super().__init__()
        self.instances = given(INSTANCES)
        self.heard: list[tuple[Record, str]] = []
        self.asks: list[str] = []
        self.answers: Counter[str] = Counter()
        self.created: list[str] = []
        self.ended: Counter[str] = Counter()
        self.grants: dict[str, Grant] = {}
        self.restarted: set[str] = set()
        self.workers: dict[tuple[str, int], InstanceStarting] = {}

    def hear(self, record: Record, record_id: str = "") -> None:
        record_id = record_id or f"record {len(self.heard)}"
        self.heard.append((record, record_id))
        self.instances.when(record, record_id=record_id)
        for fact in self.instances.facts:
            self.book(fact, record)

    def book(self, fact: Fact, cause: Record | None) -> None:
        if isinstance(fact, InstanceAccepted):
            self.answers[fact.ask_id] += 1
            self.created.append(fact.instance_id)
        elif isinstance(fact, InstanceRefused | InstanceDraining | InstanceRestarting | WarmPoolSet | WarmPoolRefused):
            self.answers[fact.ask_id] += 1
        elif isinstance(fact, CapacityRequested):
            assert fact.grant_id not in self.grants
            self.grants[fact.grant_id] = Grant(fact)
        elif isinstance(fact, CapacityReleased):
            grant = self.grants[fact.grant_id]
            grant.releases += 1
            assert not grant.worker_started or isinstance(cause, WorkerGone), "a worker may still be there"
        elif isinstance(fact, InstanceStarting):
            self.grants[fact.grant_id].worker_started = True
            self.workers[fact.instance_id, fact.incarnation] = fact
        elif isinstance(fact, InstanceStopping | InstanceReady):
            assert self.workers[fact.instance_id, fact.incarnation].node_session == fact.node_session
        elif isinstance(fact, InstanceEnded):
            self.ended[fact.instance_id] += 1

    def pick(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(self.created or ["nobody"]))

    @rule(demand=st.booleans())
    def ask(self, demand: bool) -> None:
        ask_id = f"ask {len(self.asks)}"
        self.asks.append(ask_id)
        if demand:
            self.hear(InstanceNeeded(workspace_id="w", need_id=ask_id, profession="p"))
        else:
            self.hear(InstanceRequested(workspace_id="w", profession="p"), ask_id)

    @rule(data=st.data(), force=st.booleans())
    def destroy(self, data: st.DataObject, force: bool) -> None:
        ask_id = f"ask {len(self.asks)}"
        self.asks.append(ask_id)
        self.hear(InstanceDestroyRequested(workspace_id="w", instance_id=self.pick(data), force=force), ask_id)

    @rule(data=st.data(), force=st.booleans())
    def restart(self, data: st.DataObject, force: bool) -> None:
        ask_id = f"ask {len(self.asks)}"
        self.asks.append(ask_id)
        instance_id = self.pick(data)
        self.restarted.add(instance_id)
        self.hear(InstanceRestartRequested(workspace_id="w", instance_id=instance_id, force=force), ask_id)

    @rule(least=st.integers(0, 3), most=st.integers(0, 4))
    def set_pool(self, least: int, most: int) -> None:
        ask_id = f"ask {len(self.asks)}"
        self.asks.append(ask_id)
        self.hear(WarmPoolRequested(workspace_id="w", profession="p", least=least, most=most), ask_id)

    @rule(data=st.data(), what=st.sampled_from([InstanceIdle, InstanceVacated]))
    def hear_roster(self, data: st.DataObject, what: type[Record]) -> None:
        more = {"idle_ms": 1} if what is InstanceIdle else {}
        self.hear(what.model_validate({"workspace_id": "w", "instance_id": self.pick(data), **more}))

    @precondition(lambda self: any(not grant.answer for grant in self.grants.values()))
    @rule(data=st.data(), refuse=st.sampled_from([False, False, False, True]), node=st.sampled_from(["a", "b"]))
    def answer_request(self, data: st.DataObject, refuse: bool, node: str) -> None:
        grant_id = data.draw(st.sampled_from([name for name, grant in self.grants.items() if not grant.answer]))
        self.answer(grant_id, refuse, node)

    def answer(self, grant_id: str, refuse: bool, node: str) -> None:
        grant = self.grants[grant_id]
        grant.answer = "refused" if refuse else "granted"
        named = {
            "pool": "default",
            "workspace_id": "w",
            "instance_id": grant.request.instance_id,
            "grant_id": grant_id,
        }
        if refuse:
            self.hear(CapacityRefused(**named, reason="full"))
            return
        resources = grant.request.resources
        self.hear(CapacityGranted(**named, node_id=node, node_session=f"{node}-1", resources=resources))

    @precondition(lambda self: any(grant.answer == "granted" for grant in self.grants.values()))
    @rule(data=st.data())
    def lose_host(self, data: st.DataObject) -> None:
        """Also of a grant that was released meanwhile: posts cross."""
        names = [name for name, grant in self.grants.items() if grant.answer == "granted" and not grant.host_lost]
        if names:
            self.lose(data.draw(st.sampled_from(names)))

    def lose(self, grant_id: str) -> None:
        grant = self.grants[grant_id]
        grant.host_lost = True
        self.hear(
            HostLost(
                pool="default",
                workspace_id="w",
                instance_id=grant.request.instance_id,
                grant_id=grant_id,
                node_id="a",
                node_session="a-1",
                reason="power",
            )
        )

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), what=st.sampled_from([WorkerStarted, WorkerGone, SubjectLost]), stale=st.booleans())
    def report(self, data: st.DataObject, what: type[Record], stale: bool) -> None:
        worker = data.draw(st.sampled_from(list(self.workers.values())))
        session = "stale" if stale else worker.node_session
        if what is SubjectLost:
            subject = f"instance:{worker.instance_id}"
            self.hear(SubjectLost(subject=subject, owner_key="w", session=session, incarnation=worker.incarnation))
            return
        self.tell(what, worker, session)
        assert not stale or self.instances.facts == []

    def tell(self, what: type[Record], worker: InstanceStarting, session: str) -> None:
        self.hear(
            what.model_validate(
                {
                    "workspace_id": "w",
                    "instance_id": worker.instance_id,
                    "node_id": worker.node_id,
                    "node_session": session,
                    "incarnation": worker.incarnation,
                }
            )
        )

    @rule(data=st.data())
    def hear_again(self, data: st.DataObject) -> None:
        """The same asks say nothing new, nor do posts, which name one grant each."""
        if self.heard:
            record, record_id = data.draw(st.sampled_from(self.heard))
            self.hear(record, record_id)
            if not isinstance(record, SubjectLost | InstanceIdle | InstanceVacated | WorkerStarted | WorkerGone):
                assert self.instances.facts == []

    @rule(passed_ms=st.integers(0, 100_000))
    def wait(self, passed_ms: int) -> None:
        self.instances.at(self.instances.now_ms + passed_ms)
        while (first := INSTANCES.deadlines(self.instances.state).first()) and first[0] <= self.instances.now_ms:
            self.instances.when_deadline()
            assert self.instances.facts
            for fact in self.instances.facts:
                self.book(fact, None)

    @invariant()
    def created_is_live_and_ended(self) -> None:
        assert len(self.created) == len(set(self.created))
        assert set(self.ended) | set(self.instances.state.live) == set(self.created)
        assert not set(self.ended) & set(self.instances.state.live)
        assert all(count == 1 for count in self.ended.values())
        total = self.instances.state.headcount("w").total
        live = self.instances.state.live.values()
        assert total == len(live)
        headcount, elastic = self.instances.state.headcount("w"), [each for each in live if each.order.on_demand]
        assert headcount.on_demand.get("p", 0) == len(elastic)
        assert headcount.staying.get("p", 0) == sum(each.stays for each in elastic)

    @invariant()
    def a_warm_pool_is_filled_or_looked_at_again(self) -> None:
        state = self.instances.state
        pool, headcount = state.warm_pool("w", "p"), state.headcount("w")
        if pool and headcount.staying.get("p", 0) < min(pool.order.least, pool.order.most):
            is_full = headcount.on_demand.get("p", 0) >= pool.order.most
            assert is_full or warm_name("w", "p") in state.deadlines.times

    @invariant()
    def asks_are_answered_once(self) -> None:
        answers = {name: count for name, count in self.answers.items() if name and not name.startswith("warm ")}
        assert answers == dict.fromkeys(self.asks, 1)

    @invariant()
    def grants_are_held_by_who_lives(self) -> None:
        held = {instance.grant_id for instance in self.instances.state.live.values()}
        for name, grant in self.grants.items():
            assert grant.releases <= 1
            is_over = grant.releases == 1 or grant.answer == "refused" or grant.host_lost
            assert is_over != (name in held), (name, grant)
        tries = Counter(grant.request.instance_id for grant in self.grants.values())
        tries = Counter({name: count for name, count in tries.items() if name not in self.restarted})
        assert all(count <= GRANTS_MAX for count in tries.values())

    @invariant()
    def whatever_is_not_ready_has_a_next_time(self) -> None:
        for name, instance in self.instances.state.live.items():
            is_watched = name in self.instances.state.deadlines.times
            assert is_watched == (instance.phase not in ("ready", "draining"))

    def teardown(self) -> None:
        """When everybody answers and all are destroyed, nothing is left."""
        self.set_pool(0, 0)
        for name in sorted(self.instances.state.live):
            self.hear(InstanceDestroyRequested(workspace_id="w", instance_id=name, force=True))
        for worker in list(self.workers.values()):
            self.tell(WorkerGone, worker, worker.node_session)
        for name, grant in list(self.grants.items()):
            if not grant.answer:
                self.answer(name, refuse=True, node="a")
        state = self.instances.state
        assert (dict(state.live), dict(state.headcounts), list(state.deadlines)) == ({}, {}, [])
        for grant in self.grants.values():
            assert grant.releases or grant.answer == "refused" or grant.host_lost


InstancesMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestInstances = InstancesMachine.TestCase
