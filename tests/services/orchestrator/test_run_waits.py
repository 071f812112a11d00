"""The runs role: waits, choices, people, reviews and mutexes."""

from services.records.review import ReviewClosed, Vote
from services.records.task import (
    ReviewRequested,
    SignalRequested,
    StageStarted,
    TaskAnswerRequested,
)
from tests.services.orchestrator.run_world import WORKSPACE, World, content, flow


def signal(world: World, name: str, ask_id: str = "", payload: str = "{}") -> World:
    world.ask(SignalRequested(workspace_id=WORKSPACE, run_id=world.run_id, signal=name, payload=payload), ask_id)
    return world


def test_a_wait_goes_on_with_its_signal() -> None:
    stages = """id: w, kind: wait, wait: {signal: go}, next: [{to: a, when: "result.payload.n == 1"}]
    id: a"""
    world = signal(World().run(flow(stages)), "stop")
    assert world.types() == ["AskRefused"]
    signal(world, "go", "s1", '{"n": 1}')
    assert world.request("a")
    signal(world, "go", "s1", '{"n": 1}')
    assert world.last == []


def test_a_wait_goes_on_in_time() -> None:
    world = World().run(flow("id: w, kind: wait, wait: {for: 2h}, next: [a]\n id: a"))
    start = world.now_ms
    world.wake()
    assert world.now_ms == start + 7_200_000
    assert world.request("a")


def test_a_wait_for_a_stage_goes_on_when_it_has_completed_before_or_later() -> None:
    stages = """id: a, next: [b]
    id: b
    id: w, kind: wait, wait: {stage: a}, next: [c]
    id: c, next: [w2]
    id: w2, kind: wait, wait: {stage: a}, next: [d]
    id: d"""
    world = World().run(flow(stages)).complete("a")
    assert world.complete("c").request("d")


def test_the_first_wait_of_a_choice_wins_and_the_others_are_skipped() -> None:
    stages = """id: go, kind: wait, wait: {signal: go}, choice: c, next: [a]
    id: late, kind: wait, wait: {for: 1h}, choice: c, next: [b]
    id: a
    id: b"""
    world = signal(World().run(flow(stages)), "go")
    assert world.ends() == ["go1 completed", "late1 skipped", "b1 skipped"]
    assert world.complete("a").end.status == "completed"
    timed = World().run(flow(stages))
    timed.wake()
    assert timed.ends() == ["late1 completed", "go1 skipped", "a1 skipped"]


def test_one_signal_triggers_all_that_wait_for_it() -> None:
    stages = "\n".join(f"id: w{n}, kind: wait, wait: {{signal: go}}, next: [a{n}]\n id: a{n}" for n in range(300))
    world = signal(World(checked=False).run(flow(stages)).go_on(), "go").go_on()
    assert len(world.open_requests()) == 300


def test_a_person_answers_in_the_inbox() -> None:
    world = World().run(flow("id: a, agent: human, output: [r], timeout: 1h, next: [b]\n id: b, input: [r]"))
    started = world.last[1]
    assert isinstance(started, StageStarted)
    assert (started.waits_for, started.until_ms) == ("person", world.now_ms + 3_600_000)
    answer = TaskAnswerRequested(
        workspace_id=WORKSPACE, run_id=world.run_id, task_id=started.task_id, outputs=(content("r", "by hand"),)
    )
    world.ask(answer, "a1")
    assert world.request("b").work.inputs[0].inline == b"by hand"
    world.ask(answer, "a1")
    assert world.last == []
    world.ask(answer, "a2")
    assert world.types() == ["AskRefused"]
    late = World().run(flow("id: a, agent: human, timeout: 1h"))
    late.wake()
    assert late.end.reason == "`a` failed: nobody answered within the timeout"


REVIEW = """id: develop, output: [source], input: [{name: feedback, optional: true}], next: [check]
id: check, kind: review, input: [source], review: {by: ["role:lead"], on_reject: develop, max_rounds: 2, timeout: 1h}, next: [ship]
id: ship"""  # noqa: E501


def vote(world: World, approve: bool, comment: str = "") -> World:
    asked = [fact for fact in world.facts if isinstance(fact, ReviewRequested)][-1]
    votes = (Vote(reviewer="ann", approve=approve, comment=comment),) if comment else ()
    world.hear(
        ReviewClosed(
            workspace_id=WORKSPACE,
            review_id=asked.review_id,
            run_id=world.run_id,
            stage=asked.stage,
            execution=asked.execution,
            approved=approve,
            reason="1 for, 0 against",
            votes=votes,
        )
    )
    return world


def test_a_rejection_leads_back_with_its_feedback_and_an_approval_leads_on() -> None:
    world = World().run(flow(REVIEW)).complete("develop")
    asked = world.last[-1]
    assert isinstance(asked, ReviewRequested)
    assert (asked.by, asked.timeout_ms, [each.version for each in asked.subject]) == (("role:lead",), 3_600_000, [1])
    vote(world, False, "too long")
    assert [(each.name, each.inline) for each in world.request("develop").work.inputs] == [
        ("feedback", b"ann: too long")
    ]
    vote(world.complete("develop"), True)
    assert world.complete("ship").end.status == "completed"


def test_a_review_that_rejects_in_its_last_round_fails() -> None:
    world = vote(World().run(flow(REVIEW)).complete("develop"), False, "no")
    vote(world.complete("develop"), False, "still no")
    assert world.end.status == "failed"
    assert "`check` was rejected and no way leads on: the way to `develop` is used up" in world.end.reason


def test_stages_with_one_mutex_run_one_after_the_other_in_order() -> None:
    stages = "\n".join(f"id: s{n}, mutex: m, next: [j]" for n in range(4)) + "\nid: j"
    world = World().run(flow(stages))
    for n in range(4):
        assert [asked.work.stage for asked in world.open_requests()] == [f"s{n}"]
        world.complete(f"s{n}")
    assert world.request("j")


def test_a_mutex_passes_on_when_its_holder_fails_or_is_cancelled() -> None:
    stages = """id: a, mutex: m, on_error: skip
    id: b, mutex: m
    id: c, mutex: m
    id: x, cancel: [b]"""
    world = World().run(flow(stages)).fail("a")
    assert world.request("b")
    world.complete("x")
    assert "b1 cancelled" in world.ends()
    assert [asked.work.stage for asked in world.open_requests()] == ["c"]
    assert world.complete("c").end.status == "completed"
