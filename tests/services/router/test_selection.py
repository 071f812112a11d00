"""Tasks that name no profession: whom they go to, and when somebody is asked instead."""

import random
from typing import Any

from hypothesis import given as draw
from hypothesis import settings
from hypothesis import strategies as st

from bus.testing import Scenario, given
from services.definitions.profession import Examples, Profession, Skill, Wording
from services.records.content import Work
from services.records.review import ReviewClosed, Vote
from services.records.task import (
    AttemptCancelled,
    InstanceNeeded,
    TaskAssigned,
    TaskDoubted,
    TaskLost,
    TaskQueued,
    TaskRequested,
)
from services.router.index import build_index
from services.router.matching import MATCHER, match_task
from services.router.roster import ROSTER
from services.router.roster_state import EMPTY, Rosters
from services.router.selection import select
from tests.services.router.roster_cases import cancelled, changed, ready
from tests.services.router.roster_cast import BLOBS, DIGESTS, KNOWN

CLEAR, UNCLEAR = "find defects in the release", "do what is to be done"


def requested(attempt: str = "1", **fields: Any) -> TaskRequested:
    known: dict[str, Any] = {"professions": DIGESTS, **fields}
    work = Work(run_id="run", stage="test", execution=1, **known)
    return TaskRequested(workspace_id="w", task_id=f"task-{attempt}", attempt=1, attempt_id=attempt, work=work)


def roster(*names: str) -> Scenario[Rosters]:
    """With a free instance of each of these professions."""
    return given(ROSTER, *[changed(name[0], profession=name) for name in names], blobs=BLOBS)


def closed(approved: bool = True, choice: str = "writer") -> ReviewClosed:
    return ReviewClosed(
        workspace_id="w",
        review_id="1",
        run_id="run",
        stage="test",
        execution=1,
        approved=approved,
        choice=choice,
        reason="1 for and 0 against",
        votes=(Vote(reviewer="ann", approve=approved, choice=choice),),
    )


def only(scenario: Scenario[Rosters], kind: type) -> Any:
    (fact,) = [fact for fact in scenario.facts if isinstance(fact, kind)]
    return fact


def test_words_choose_a_profession_and_the_assignment_says_why() -> None:
    fact = only(roster("tester", "writer").when(requested(instructions=CLEAR)), TaskAssigned)
    assert (fact.instance_id, fact.work.profession, fact.work.professions) == (
        "t",
        "tester",
        {"tester": DIGESTS["tester"]},
    )
    assert fact.pick.matcher == MATCHER
    assert [fit.profession for fit in fact.pick.ranked] == ["tester", "writer"]
    assert "defects" in fact.pick.ranked[0].note


def test_a_task_waits_for_the_profession_that_its_words_chose_and_an_instance_of_it_is_asked_for() -> None:
    scenario = roster("writer").when(requested(instructions=CLEAR))
    assert only(scenario, TaskQueued).pick.ranked[0].profession == "tester"
    needed = only(scenario, InstanceNeeded)
    assert (needed.profession, needed.profession_digest) == ("tester", DIGESTS["tester"])


def test_skills_alone_may_be_met_by_any_profession() -> None:
    scenario = given(ROSTER, changed("w", profession="writer", skills={"typing": 8}), blobs=BLOBS)
    fact = only(scenario.when(requested(skills={"typing": 3})), TaskAssigned)
    assert (fact.instance_id, fact.work.profession) == ("w", "writer")
    assert [fit.profession for fit in fact.pick.ranked] == ["writer", "tester"]


def test_whoever_is_free_first_of_all_capable_professions_gets_what_waits() -> None:
    scenario = given(ROSTER, blobs=BLOBS).when(requested(skills={"coding": 2}))
    scenario.then_types(TaskQueued, InstanceNeeded)
    assert only(scenario, InstanceNeeded).profession == "tester"  # it has the higher level
    assert only(scenario.when(ready("w", profession="writer", skills={"coding": 2})), TaskAssigned).instance_id == "w"
    state = scenario.state.of("w")
    assert (state.waiting, [crew.demands for crew in state.crews.values()]) == (0, [(), ()])


def test_levels_that_nobody_has_are_refused_with_a_reason() -> None:
    fact = only(roster("tester").when(requested(skills={"coding": 10})), TaskLost)
    assert (fact.code, fact.reason) == ("refused", "no profession has coding at level 10")


def test_a_run_that_brought_no_professions_is_told_so() -> None:
    assert "brought none" in only(roster().when(requested(instructions=CLEAR, professions={})), TaskLost).reason
    gone = given(ROSTER).when(requested(instructions=CLEAR))
    assert "not in the blob store" in only(gone, TaskLost).reason


def test_below_the_margin_it_is_asked_for_and_the_answer_goes_on() -> None:
    scenario = roster("tester", "writer").when(requested(instructions=UNCLEAR))
    doubt = only(scenario, TaskDoubted)
    assert sorted(doubt.choices) == ["tester", "writer"]
    assert "not clearly ahead" in doubt.reason
    scenario.when(requested(instructions=UNCLEAR)).then()
    fact = only(scenario.when(closed()), TaskAssigned)
    assert (fact.instance_id, fact.work.profession, fact.pick.chosen_by) == ("w", "writer", "ann")
    scenario.when(closed()).then()


def test_an_answer_without_a_choice_takes_the_first_and_a_refusal_ends_the_attempt() -> None:
    scenario = roster("tester", "writer").when(requested(instructions=UNCLEAR))
    first = only(scenario, TaskDoubted).choices[0]
    assert only(scenario.when(closed(choice="")), TaskAssigned).work.profession == first
    scenario = roster("tester").when(requested(instructions=UNCLEAR))
    lost = only(scenario.when(closed(approved=False, choice="")), TaskLost)
    assert (lost.code, "nobody chose" in lost.reason) == ("refused", True)
    assert scenario.state.of("w").waiting == 0


def test_a_task_in_doubt_is_cancelled_and_runs_out_of_time_like_any_that_waits() -> None:
    roster("tester").when(requested(instructions=UNCLEAR)).when(cancelled("1")).then_types(AttemptCancelled)
    scenario = roster("tester").when(requested(instructions=UNCLEAR, queue_timeout_ms=5_000)).when_deadline()
    assert only(scenario, TaskLost).reason == "nobody said which profession should do the task in 5000 ms"


def test_a_named_profession_is_taken_as_it_is_whatever_the_words_say() -> None:
    fact = only(roster("tester", "writer").when(requested(profession="writer", instructions=CLEAR)), TaskAssigned)
    assert (fact.instance_id, fact.pick) == ("w", None)


@settings(max_examples=150, deadline=None)
@draw(st.integers(0, 2**32))
def test_the_hard_filter_is_that_of_brute_force(seed: int) -> None:
    rng = random.Random(seed)
    names = [f"p{number}" for number in range(rng.randint(1, 6))]
    skills = ["a", "b", "c", "d"]
    levels = {name: {skill: rng.randint(1, 10) for skill in skills if rng.random() < 0.7} or {"a": 1} for name in names}
    known = [
        Profession(
            id=name,
            name=Wording(en=name),
            skills=tuple(Skill(name=skill, level=level) for skill, level in levels[name].items()),
            examples=Examples(en=("x",)),
        )
        for name in names
    ]
    least = {skill: rng.randint(0, 10) for skill in skills if rng.random() < 0.5}
    work = requested(skills=least, professions={each.id: each.digest() for each in known}).work
    found = select(work, EMPTY, {each.digest(): each.to_json() for each in known})
    able = []
    for name in names:
        has_all = True
        for skill, level in least.items():
            has_all = has_all and levels[name].get(skill, 0) >= level
        if has_all:
            able.append(name)
    assert sorted(found.professions) == able
    assert bool(found.refusal) == (not able)


def test_another_matcher_would_decide_another_fact(monkeypatch: Any) -> None:
    """Its version stands in the fact, so a replay with another one shows a difference wherever it was used."""
    before = only(roster("tester").when(requested(instructions=CLEAR)), TaskAssigned)
    monkeypatch.setattr("services.router.selection.MATCHER", "other")
    after = only(roster("tester").when(requested(instructions=CLEAR)), TaskAssigned)
    assert before != after
    assert before.model_copy(update={"pick": None}) == after.model_copy(update={"pick": None})


def test_a_matcher_that_ranks_otherwise_has_another_version() -> None:
    """When this fails because the words, weights or margins changed, change MATCHER and the figures here."""
    texts = (
        "find defects in the release",
        "rhyme a poem of spring",
        "测试发布",
        UNCLEAR,
        "tests stories release releases",
    )
    index = build_index(KNOWN.values())
    found = [
        (m.certainty, [(r.profession, r.points) for r in m.ranked]) for m in (match_task(index, text=t) for t in texts)
    ]
    assert (MATCHER, found) == ("terms-1", FOUND)


FOUND: list[Any] = [
    (965, [("tester", 9729), ("writer", 0)]),
    (961, [("writer", 8773), ("tester", 0)]),
    (0, [("tester", 0), ("writer", 0)]),
    (0, [("tester", 0), ("writer", 0)]),
    (922, [("tester", 5340), ("writer", 1168)]),
]
