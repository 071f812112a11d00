"""A small world around the roster that thinks slowly: it checks every fact by brute force over plain lists.

It shares no code with the roster: who may take a task, which score that has and which task is next it works out anew.
Only which profession a text suits it takes from the roster's word, and looks whether that one was allowed.
"""

from __future__ import annotations

import hashlib
import random
from fractions import Fraction

from bus.record import Fact, Record
from bus.testing import given
from services.records import event, review, task
from services.records.content import Resources, Work
from services.router.roster import ROSTER
from services.router.roster_state import Rosters
from tests.services.router.roster_cast import (
    AGEING_MS,
    AGENTS,
    BLOBS,
    DIGESTS,
    PROFESSIONS,
    SKILLS,
    WORDS,
    Being,
    Try,
    score,
    who_may,
)


class World:
    def __init__(self, rng: random.Random) -> None:
        self.rng, self.roster, self.serial = rng, given(ROSTER, blobs=BLOBS), 0
        self.beings: dict[str, Being] = {}
        self.tries: dict[str, Try] = {}
        self.needs: list[str] = []
        self.story: list[tuple[Fact, int]] = []

    # What happens.

    def step(self) -> None:
        happenings = [self.ask, self.ask, self.ask, self.report, self.report, self.cancel, self.make, self.make]
        self.rng.choice([*happenings, self.tell, self.remake, self.drain, self.take_off, self.refuse, self.pass_time])()

    def ask(self) -> None:
        rng, self.serial = self.rng, self.serial + 1
        work = Work(
            run_id="run",
            stage="stage",
            execution=1,
            profession=rng.choice([*PROFESSIONS, *PROFESSIONS, ""]),
            agent=rng.choice(["", "", "", *AGENTS]),
            professions=DIGESTS,
            instructions=rng.choice(WORDS),
            skills={skill: rng.randint(1, 10) for skill in SKILLS if rng.random() < 0.3},
            timeout_ms=rng.choice([0, 20_000, 600_000]),
            queue_timeout_ms=rng.choice([0, 15_000, 90_000]),
            priority=rng.choice([0, 0, 0, 1, 5, -3]),
        )
        name = f"t{self.serial}"
        asked = task.TaskRequested(workspace_id="w", task_id=name, attempt=1, attempt_id=name, work=work)
        one = self.tries[name] = Try(asked=asked, among=who_may(work, self.beings.values()))
        takers = self.takers(one)
        self.hear(asked)
        if not one.among:
            assert (one.place, one.ends) == ("over", ["lost"]), f"nobody can do {asked}: {self.roster.facts}"
        elif work.profession or not work.instructions:
            assert one.place == ("held" if takers else "waiting"), f"{asked} led to {self.roster.facts}"

    def tell(self) -> None:
        """Somebody says who should do a task in doubt, or that nobody should."""
        doubted = [name for name, one in self.tries.items() if one.place == "doubted"]
        if not doubted:
            return
        name = self.rng.choice(doubted)
        one, choice = self.tries[name], self.rng.choice(["", *self.tries[name].among])
        approved = self.rng.random() < 0.8
        if approved and choice:
            one.among = (choice,)
        self.hear(
            review.ReviewClosed(
                workspace_id="w",
                review_id=name,
                run_id="run",
                stage="stage",
                execution=1,
                approved=approved,
                reason="1 for",
                votes=(review.Vote(reviewer="ann", approve=approved, choice=choice),),
                choice=choice if approved else "",
            )
        )
        assert one.place in (("held", "waiting") if approved else ("over",)), f"{name} led to {self.roster.facts}"

    def report(self) -> None:
        held = [one for one in self.tries.values() if one.given_to]
        if held:
            fate = self.rng.choice(["good", "good", "good", "bad", "worker_lost", "stale"])
            self.answer(self.rng.choice(held), fate)

    def answer(self, one: Try, fate: str) -> None:
        place = one.given_to
        assert place
        fields = {
            "workspace_id": "w",
            "run_id": "run",
            "stage": "stage",
            "task_id": place.task_id,
            "attempt_id": place.attempt_id,
            "instance_id": place.instance_id,
            "node_id": place.node_id,
            "node_session": "other" if fate == "stale" else place.node_session,
            "incarnation": place.incarnation,
        }
        if fate in ("good", "stale"):
            self.hear(task.TaskCompleted.model_validate(fields))
        else:
            code = "worker_lost" if fate == "worker_lost" else "error"
            self.hear(task.TaskFailed.model_validate(fields | {"code": code, "reason": fate}))
        if fate == "stale":
            assert not self.roster.facts

    def cancel(self) -> None:
        name = self.rng.choice([*self.tries, "unknown"])
        self.hear(task.CancelRequested(workspace_id="w", run_id="run", task_id=name, attempt_id=name, reason="no"))

    def make(self) -> None:
        """Accept an instance, often for a need, and mostly have it ready or failed at once."""
        rng, self.serial = self.rng, self.serial + 1
        need_id = self.needs.pop(0) if self.needs and rng.random() < 0.7 else ""
        needed = [fact for fact, _ in self.story if isinstance(fact, task.InstanceNeeded) and fact.need_id == need_id]
        being = Being(
            name=f"i{rng.randint(0, 9)}{self.serial}",
            profession=needed[0].profession if needed else rng.choice(PROFESSIONS),
            agent=(needed[0].agent if needed else "") or rng.choice(AGENTS),
            skills={skill: rng.randint(1, 10) for skill in SKILLS if rng.random() < 0.7},
            slots=rng.randint(1, 3),
            on_demand=bool(needed),
        )
        self.beings[being.name] = being
        self.hear(
            event.InstanceAccepted(
                workspace_id="w",
                instance_id=being.name,
                ask_id=need_id or "ask",
                profession=being.profession,
                name=being.name,
                agent=being.agent,
                driver="process",
                pool="default",
                resources=Resources(slots=being.slots),
                skills=being.skills,
                on_demand=being.on_demand,
            )
        )
        if rng.random() < 0.9:
            self.start(being) if rng.random() < 0.8 else self.finish(being, "failed")

    def start(self, being: Being) -> None:
        self.hear(
            event.InstanceReady(
                workspace_id="w",
                instance_id=being.name,
                profession=being.profession,
                name=being.name,
                agent=being.agent,
                node_id="node",
                node_session=self.rng.choice(["s1", "s2"]),
                incarnation=being.incarnation + 1,
                slots=being.slots,
                skills=being.skills,
                on_demand=being.on_demand,
            )
        )

    def finish(self, being: Being, status: str) -> None:
        self.hear(event.InstanceEnded(workspace_id="w", instance_id=being.name, status=status, reason="so it is"))

    def remake(self) -> None:
        if self.beings:
            self.start(self.rng.choice(list(self.beings.values())))

    def drain(self) -> None:
        name = self.rng.choice([*self.beings, f"never{self.serial}"])
        self.hear(event.InstanceDraining(workspace_id="w", instance_id=name))

    def take_off(self) -> None:
        if not self.beings:
            return
        being = self.rng.choice(list(self.beings.values()))
        if self.rng.random() < 0.5:
            self.finish(being, self.rng.choice(["lost", "stopped", "failed"]))
        else:
            self.hear(
                event.InstanceStopping(
                    workspace_id="w", instance_id=being.name, node_id="node", node_session="s1", incarnation=1
                )
            )

    def refuse(self) -> None:
        need_id = self.needs.pop(0) if self.needs else "unknown"
        self.hear(event.InstanceRefused(workspace_id="w", instance_id="", ask_id=need_id, reason="the quota is used"))

    def pass_time(self) -> None:
        until_ms = self.roster.now_ms + self.rng.choice([1, 100, 5_000, 30_000])
        while (first := ROSTER.deadlines(self.roster.state).first()) and first[0] <= until_ms:
            self.roster.when_deadline()
            assert ROSTER.deadlines(self.roster.state).times.get(first[1]) != first[0], f"{first} was not moved"
            self.check()
        self.roster.at(until_ms)

    # What the roster makes of it.

    def hear(self, record: Record) -> None:
        """Let the roster hear it twice; the second time changes nothing."""
        self.roster.when(record)
        self.check()
        heard, state = self.roster.facts, self.roster.state
        self.roster.when(record, record_id="again")
        assert not self.roster.facts, f"hearing {record} again led to {self.roster.facts}"
        assert self.roster.state == state
        self.roster.facts = heard

    def check(self) -> None:
        for fact in self.roster.facts:
            getattr(self, f"_{type(fact).__name__}")(fact)
            self.story.append((fact, self.roster.now_ms))
        for being in self.beings.values():
            assert len(being.held) <= being.slots, f"{being} has more than its slots"
        stuck = [one for one in self.tries.values() if one.place == "waiting" and self.takers(one)]
        assert not stuck, f"these wait although somebody is free: {stuck}"

    def takers(self, one: Try) -> list[tuple[Fraction, str]]:
        """All who could take this task now, the best first."""
        work = one.asked.work
        able = [
            being
            for being in self.beings.values()
            if being.is_ready
            and len(being.held) < being.slots
            and being.profession in one.among
            and work.agent in ("", being.agent)
            and all(being.skills.get(skill, 0) >= level for skill, level in work.skills.items())
        ]
        return sorted((-score(being, work), being.name) for being in able)

    def _TaskAssigned(self, fact: task.TaskAssigned) -> None:  # noqa: N802 — named after the fact that it checks
        one = self.tries[fact.attempt_id]
        self.picked(one, fact.work, fact.pick)
        takers = self.takers(one)
        assert fact.instance_id == takers[0][1], f"{takers[0]} suits better than {fact}"
        assert round(sum(reason.score for reason in fact.reasons), 6) == float(-takers[0][0])
        told = [(round(-other.score, 6), other.instance_id) for other in fact.runners_up]
        assert told == [(float(score), name) for score, name in takers[1:4]]
        if one.place == "waiting":
            rivals = [
                rival
                for rival in self.tries.values()
                if rival.place == "waiting"
                and self.beings[fact.instance_id].profession in rival.among
                and self.takers(rival)
            ]
            assert max(rivals, key=self.urgency) is one, f"{fact} was not the next"
        being = self.beings[fact.instance_id]
        assert (fact.node_session, fact.incarnation) == (being.session, being.incarnation)
        assert one.place in ("asked", "doubted", "waiting"), f"{fact} was over or assigned already"
        assert fact.work.profession == being.profession
        being.held.append(fact.attempt_id)
        one.place, one.given_to = "held", fact

    def urgency(self, one: Try) -> tuple[Fraction, int]:
        waited = self.roster.now_ms - one.since_ms
        return one.asked.work.priority + Fraction(waited, AGEING_MS), -one.turn

    def _TaskQueued(self, fact: task.TaskQueued) -> None:  # noqa: N802
        one = self.tries[fact.attempt_id]
        self.serial += 1
        one.place, one.since_ms, one.turn = "waiting", self.roster.now_ms, self.serial
        assert fact.reason
        self.picked(one, fact.work, fact.pick)

    def _TaskDoubted(self, fact: task.TaskDoubted) -> None:  # noqa: N802
        one = self.tries[fact.attempt_id]
        assert sorted(fact.choices) == list(one.among)
        one.place, one.since_ms = "doubted", self.roster.now_ms

    def picked(self, one: Try, work: Work, pick: task.Pick | None) -> None:
        """Where words decided, the profession that they suit is one of those that may do it."""
        if one.asked.work.profession:
            assert pick is None
            return
        assert pick
        first = pick.ranked[0].profession
        assert first in one.among or pick.chosen_by
        if one.asked.work.instructions:
            one.among = (work.profession,)
            assert pick.chosen_by or (work.profession == first and pick.certainty >= 0.5)

    def _TasksSettled(self, fact: task.TasksSettled) -> None:  # noqa: N802
        for name in fact.attempts:
            one = self.tries[name]
            assert one.given_to
            being = self.beings[one.given_to.instance_id]
            being.held.remove(name)
            if one.ends != ["cancelled"]:
                being.all += 1
                being.good += not one.ends and name not in fact.failed
            if not one.ends:
                one.ends.append("settled")
            one.place = "over"

    def _TaskLost(self, fact: task.TaskLost) -> None:  # noqa: N802
        one = self.tries[fact.attempt_id]
        one.ends.append("lost")
        if fact.code != "timeout":
            one.place = "over"

    def _AttemptCancelled(self, fact: task.AttemptCancelled) -> None:  # noqa: N802
        one = self.tries[fact.attempt_id]
        if one.ends != ["lost"]:
            one.ends.append("cancelled")
        if not fact.instance_id:
            one.place = "over"

    def _RosterChanged(self, fact: task.RosterChanged) -> None:  # noqa: N802
        being = self.beings[fact.instance_id]
        if fact.status in ("ready", "gone"):
            for one in [self.tries[name] for name in being.held if self.tries[name].ends]:
                one.place = "over"
            being.held = []
        if fact.status == "gone":
            being.good = being.all = 0
        if fact.status == "ready":
            being.session, being.incarnation = fact.node_session, fact.incarnation
        being.is_ready = fact.status == "ready"

    def _InstanceNeeded(self, fact: task.InstanceNeeded) -> None:  # noqa: N802
        waiting = [t for t in self.tries.values() if t.place == "waiting" and fact.profession in t.among]
        assert any(one.asked.work.agent == fact.agent for one in waiting), f"{fact} but nobody waits"
        self.needs.append(fact.need_id)

    def _InstanceVacated(self, fact: task.InstanceVacated) -> None:  # noqa: N802
        being = self.beings.get(fact.instance_id)
        assert being is None or not (being.held or being.is_ready)

    def _InstanceIdle(self, fact: task.InstanceIdle) -> None:  # noqa: N802
        being = self.beings[fact.instance_id]
        assert being.is_ready
        assert being.on_demand
        assert not being.held
        waiting = [one for one in self.tries.values() if one.place == "waiting"]
        assert being.profession not in {name for one in waiting for name in one.among}

    def _NeedEnded(self, fact: task.NeedEnded) -> None:  # noqa: N802
        self.needs = [need for need in self.needs if need != fact.need_id]

    # How it ends.

    def come_to_rest(self) -> None:
        """All that is held ends, for all that waits somebody comes, and all that is asked is answered."""
        for profession in PROFESSIONS:
            for agent in AGENTS:
                self.serial += 1
                fit = dict.fromkeys(SKILLS, 10)
                being = Being(
                    name=f"z{self.serial}", profession=profession, agent=agent, skills=fit, slots=9, on_demand=False
                )
                self.beings[being.name] = being
                self.start(being)
        while any(one.place == "doubted" for one in self.tries.values()):
            self.tell()
        while held := [one for one in self.tries.values() if one.place == "held"]:
            self.answer(held[0], "good")
            assert held[0].place == "over"

    def digest(self) -> str:
        """Of all that the roster has said and of where that led."""
        told = "\n".join(f"{at_ms} {type(fact).__name__} {fact.model_dump_json()}" for fact, at_ms in self.story)
        deadlines = list(ROSTER.deadlines(self.roster.state))
        return hashlib.sha256(f"{told}\n{deadlines}".encode()).hexdigest()

    def retold(self) -> Rosters:
        """The fold of all that was said."""
        state = ROSTER.initial()
        for fact, at_ms in self.story:
            state = ROSTER.evolve(state, fact, at_ms)
        return state


def play(rng: random.Random, steps: int) -> World:
    """A world after so many steps."""
    world = World(rng)
    for _ in range(steps):
        world.step()
    return world
