"""The runs role: maps over lists, item by item, and what they gather."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.orchestrator import ending, mapping, turn
from services.orchestrator.runs import RUNS
from services.records.content import INLINE_BYTES_MAX
from services.records.task import CancelRequested, StageCompleted, StageEnded, TaskAnswerRequested
from tests.services.orchestrator.run_world import WORKSPACE, World, content, flow

MAP = """id: m, input: [common, file], output: [report], map: {over: files, as: file, max_parallel: 2, collect: reports}, next: [sum]
id: sum, input: [reports]"""  # noqa: E501


def items(world: World) -> list[int]:
    """The items that are asked for."""
    return [asked.work.item for asked in world.open_requests()]


def give(world: World, item: int, result: object = None, **outputs: object) -> World:
    asked = next(each for each in world.open_requests() if each.work.item == item)
    return world.report(asked, {} if result is None else result, outputs)


def break_(world: World, item: int, code: str = "error") -> World:
    asked = next(each for each in world.open_requests() if each.work.item == item)
    return world.fail_attempt(asked, code, "it broke")


def collected(world: World, name: str = "reports") -> object:
    for fact in reversed(world.facts):
        for artifact in fact.outputs if isinstance(fact, StageCompleted) else ():
            if artifact.name == name:
                data = artifact.inline if artifact.inline is not None else world.blobs[artifact.digest]
                return json.loads(data)
    raise AssertionError(f"nobody wrote {name}")


def test_a_map_goes_through_its_list_with_so_many_at_once_and_gathers_in_order() -> None:
    world = World().run(flow(MAP), files=["a.py", "b.py", {"name": "c.py"}], common="style")
    assert items(world) == [0, 1]
    work = world.request("m").work
    assert [(each.name, each.inline) for each in work.inputs] == [("common", b"style"), ("file", b"a.py")]
    assert (work.execution, work.ordinal) == (1, 1)
    give(world, 1, report="about b")
    assert items(world) == [0, 2]
    assert json.loads(world.open_requests()[1].work.inputs[1].inline or b"") == {"name": "c.py"}
    give(world, 2, report={"lines": 3})
    give(world, 0, report="about a")
    assert collected(world) == ["about a", "about b", {"lines": 3}]
    assert world.ends() == ["m1[1] completed", "m1[2] completed", "m1[0] completed", "m1 completed"]
    assert world.complete("sum").end.status == "completed"


def test_what_items_write_is_versioned_in_the_order_of_the_log_and_never_conflicts() -> None:
    world = World().run(flow(MAP), files=["a", "b", "c"], common="x")
    for item in (1, 0, 2):
        give(world, item, report=f"{item}")
    written = [
        (fact.item, each.name, each.version, each.base_version)
        for fact in world.facts
        if isinstance(fact, StageCompleted)
        for each in fact.outputs
    ]
    assert written == [(1, "report", 1, 0), (0, "report", 2, 1), (2, "report", 3, 2), (-1, "reports", 1, 0)]


def test_an_empty_list_completes_at_once() -> None:
    world = World().run(flow(MAP), files=[], common="x")
    assert collected(world) == []
    assert world.request("sum")


def test_a_map_without_outputs_gathers_results_and_counts_for_its_edges() -> None:
    stages = """id: m, map: {over: numbers, collect: squares}, next: [{to: few, when: result.items < 5}, {to: many, else: true}]
    id: few
    id: many"""  # noqa: E501
    world = World().run(flow(stages), numbers=[1, 2, 3])
    for item in range(3):
        give(world, item, {"square": (item + 1) ** 2})
    assert collected(world, "squares") == [{"square": 1}, {"square": 4}, {"square": 9}]
    assert world.request("few")


def test_several_outputs_are_gathered_by_name() -> None:
    world = World().run(flow("id: m, output: [a, b], map: {over: list, collect: all}"), list=["x"])
    give(world, 0, a="text")
    assert collected(world, "all") == [{"a": "text", "b": None}]


def test_a_list_made_by_a_stage_and_kept_in_the_store_is_mapped_over() -> None:
    stages = "id: find, output: [files], next: [m]\nid: m, map: {over: files, collect: found}"
    names = [f"file-{n}" for n in range(1_000)]
    world = World().run(flow(stages))
    data = json.dumps(names).encode()
    digest = world.keep(data)
    asked = world.request("find")
    listed = content("files", "").model_copy(update={"digest": digest, "size": len(data), "inline": None})
    world.hear(world.completion(asked, "{}", (listed,)))
    assert world.open_requests() == []
    world.go_on()
    assert len(world.open_requests()) == 1_000
    assert world.open_requests()[999].work.inputs[0].inline == b"file-999"


def test_a_list_that_is_lost_or_is_none_fails_the_map() -> None:
    world = World().run(flow("id: m, map: {over: files}"), files={"a": 1})
    assert world.end.reason == "`m` failed: `files`, over which it maps, is no list"
    for text, reason in (("[", "is no JSON"), ("[" * 4_000, "is no JSON")):
        assert reason in World().run(flow("id: m, map: {over: files}"), files=text).end.reason
    lost = World()
    stages = "id: find, output: [files], next: [m]\nid: m, map: {over: files}"
    lost.run(flow(stages))
    listed = content("files", "").model_copy(update={"digest": "sha256:" + "0" * 64, "size": 9, "inline": None})
    lost.hear(lost.completion(lost.request("find"), "{}", (listed,)))
    assert "is not in the blob store" in lost.go_on().end.reason


def test_a_big_item_and_a_big_collection_go_through_the_store() -> None:
    text = "x" * (INLINE_BYTES_MAX + 1)
    world = World()
    data = json.dumps([text, "small"]).encode()
    listed = content("files", "").model_copy(update={"digest": world.keep(data), "size": len(data), "inline": None})
    ask = world.asking(flow("id: m, output: [r], map: {over: files, as: f, collect: rs}"))
    world.run_id = world.started(ask.model_copy(update={"inputs": (listed,)}))
    world.go_on()
    big = world.open_requests()[0].work.inputs[0]
    assert (big.inline, world.blobs[big.digest]) == (None, text.encode())
    for item in (0, 1):
        asked = next(each for each in world.open_requests() if each.work.item == item)
        made = content("r", "").model_copy(
            update={"digest": world.keep(text.encode()), "size": len(text), "inline": None}
        )
        world.hear(world.completion(asked, "{}", (made,)))
    world.go_on()
    assert collected(world, "rs") == [text, text]


def test_what_is_no_text_is_gathered_as_what_it_is() -> None:
    world = World().run(flow("id: m, output: [r], map: {over: list, collect: rs}"), list=[1])
    asked = world.open_requests()[0]
    image = b"\xff\xd8\xff"
    made = content("r", "").model_copy(
        update={"digest": world.keep(image), "size": 3, "inline": image, "media_type": "image/jpeg"}
    )
    world.hear(world.completion(asked, "{}", (made,)))
    digest = world.keep(image).removeprefix("sha256:")
    assert collected(world, "rs") == [{"sha256": digest, "size": 3, "media_type": "image/jpeg"}]


# Failures.


def test_an_item_that_fails_fails_the_map_and_cancels_the_others() -> None:
    world = World().run(flow("id: m, map: {over: list}, next: [n]\nid: n"), list=[1, 2, 3])
    give(world, 0)
    break_(world, 1)
    assert world.ends() == ["m1[0] completed", "m1[1] failed", "m1[2] cancelled", "m1 failed"]
    assert world.end.reason == "`m` failed: item 1 failed: it broke"
    assert sum(isinstance(fact, CancelRequested) for fact in world.facts) == 1


def test_items_that_are_skipped_on_errors_are_null_in_what_is_gathered() -> None:
    world = World().run(flow("id: m, on_error: skip, map: {over: list, collect: all}"), list=[1, 2, 3])
    give(world, 0, "a")
    break_(world, 1)
    give(world, 2, "c")
    assert collected(world, "all") == ["a", None, "c"]
    assert world.end.status == "completed"
    assert "m1[1] skipped" in world.ends()


def test_a_map_may_lead_to_another_stage_when_an_item_fails() -> None:
    stages = """id: m, map: {over: list}, on_error: {to: mend}, next: [ok]
    id: ok
    id: mend"""
    world = World().run(flow(stages), list=[1, 2])
    break_(world, 0)
    assert [asked.work.stage for asked in world.open_requests()] == ["mend"]
    assert world.complete("mend").end.status == "completed"


def test_an_item_is_tried_again_on_its_own() -> None:
    stages = "id: m, retry: {max_attempts: 2, on: error, backoff: 1s}, map: {over: list, collect: all}"
    world = World().run(flow(stages), list=["x", "y"])
    break_(world, 0)
    give(world, 1, "y")
    world.wake()
    asked = world.open_requests()[0]
    assert (asked.attempt, asked.work.item, asked.work.ordinal, asked.work.inputs[0].inline) == (2, 0, 3, b"x")
    give(world, 0, "x")
    assert collected(world, "all") == ["x", "y"]


def test_a_map_that_is_cancelled_cancels_its_items_as_far_as_a_decision_holds() -> None:
    stages = "id: m, map: {over: list}, next: [j]\nid: a, cancel: [m], next: [j]\nid: j"
    world = World().run(flow(stages), list=list(range(400))).go_on()
    world.complete("a")
    assert len([line for line in world.ends() if line.endswith("cancelled")]) < 400
    late = world.facts[5]
    world.go_on()
    assert [line for line in world.ends() if line.startswith("m1 ")] == ["m1 cancelled"]
    assert len([line for line in world.ends() if line.endswith("cancelled")]) == 401
    assert late is not None
    assert world.complete("j").end.status == "completed"


def test_a_result_that_comes_while_its_map_ends_is_refused() -> None:
    world = World().run(flow("id: m, map: {over: list}\nid: a, cancel: [m]"), list=list(range(400))).go_on()
    last = world.open_requests()[-1]
    world.complete("a")
    world.report(last, {}, {})
    assert world.types() == ["ResultRefused"]
    world.go_on()
    assert world.end.status == "completed"


def test_a_run_that_is_cancelled_ends_its_items_before_their_map() -> None:
    world = World().run(flow("id: m, map: {over: list}\nid: b"), list=[1, 2]).fail("b")
    assert world.ends() == ["b1 failed", "m1[0] cancelled", "m1[1] cancelled", "m1 cancelled"]


def test_items_that_give_too_much_fail_the_map(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "COLLECT_BYTES_MAX", 10)
    world = World().run(flow("id: m, map: {over: list, collect: all}"), list=[1, 2, 3])
    give(world, 0, "12345")
    give(world, 1, "12345")
    assert "too much to collect" in world.end.reason


# People, loops and mutexes.


def test_each_item_may_wait_for_a_person() -> None:
    world = World().run(flow("id: m, agent: human, output: [r], map: {over: list, collect: rs}"), list=[1, 2])
    waiting = sorted((e for e in world.state.live[world.run_id].open.values() if e.item >= 0), key=lambda e: e.item)
    for each in waiting:
        outputs = (content("r", f"by hand {each.item}"),)
        world.ask(
            TaskAnswerRequested(workspace_id=WORKSPACE, run_id=world.run_id, task_id=each.task_id, outputs=outputs)
        )
    assert collected(world, "rs") == ["by hand 0", "by hand 1"]


def test_a_map_in_a_loop_goes_through_its_list_anew() -> None:
    stages = """id: m, map: {over: list, collect: all}, next: [c]
    id: c, input: [all], next: [{to: m, when: "!result.ok", max_times: 3}, {to: done, else: true}]
    id: done"""
    world = World().run(flow(stages), list=[1])
    give(world, 0, "bad")
    world.complete("c", {"ok": False})
    asked = world.request("m")
    assert (asked.work.execution, asked.work.item, asked.work.ordinal) == (2, 0, 2)
    give(world, 0, "good")
    assert collected(world, "all") == ["good"]
    world.complete("c", {"ok": True}).complete("done")
    assert world.end.status == "completed"


def test_a_mutex_is_held_by_the_map_as_a_whole() -> None:
    world = World().run(flow("id: m, mutex: x, map: {over: list}\nid: o, mutex: x"), list=[1, 2])
    assert items(world) == [0, 1]
    give(world, 0)
    assert items(world) == [1]
    give(world, 1)
    assert world.request("o")


# Size.


def test_many_items_are_gone_through_with_no_more_at_once_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapping, "ITEMS_OPEN_MAX", 300)
    world = World(checked=False)
    data = json.dumps(list(range(2_000))).encode()
    kept = {"digest": world.keep(data), "size": len(data), "inline": None, "media_type": "application/json"}
    ask = world.asking(flow("id: m, map: {over: list, collect: all}"))
    world.run_id = world.started(ask.model_copy(update={"inputs": (content("list", "").model_copy(update=kept),)}))
    queue = world.go_on().take_requests()
    assert len(queue) == 300
    for asked in queue:
        world.report(asked, asked.work.item, {})
        queue += world.go_on().take_requests()
    assert len(queue) == 2_000
    assert collected(world, "all") == list(range(2_000))
    assert world.end.status == "completed"


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1 << 32), st.integers(0, 12), st.integers(1, 4), st.sampled_from([1, 2, 120]))
def test_whatever_order_the_items_end_in_what_is_gathered_is_in_theirs(
    seed: int, count: int, parallel: int, room: int
) -> None:
    dice = random.Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turn, "FACTS_MAX", room)
        stages = f"id: m, on_error: skip, map: {{over: list, max_parallel: {parallel}, collect: all}}"
        world = World().run(flow(stages), list=[f"v{n}" for n in range(count)]).go_on()
        failed = set()
        while world.open_requests():
            asked = dice.choice(world.open_requests())
            if dice.random() < 0.2:
                failed.add(asked.work.item)
                world.fail_attempt(asked, "error", "no")
            else:
                world.report(asked, (asked.work.inputs[0].inline or b"").decode(), {})
            world.go_on()
        assert collected(world, "all") == [None if n in failed else f"v{n}" for n in range(count)]
    assert len(RUNS.deadlines(world.state)) == 0
    assert sum(isinstance(fact, StageEnded) for fact in world.facts) == len(failed)
