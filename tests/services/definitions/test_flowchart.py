"""A drawing of a workflow has all that its file says, and marks where they belong."""

from services.definitions.flowchart import Marks, draw_workflow
from services.definitions.workflow import Workflow, read_workflow
from services.diagram import Arrow, Box

FLOW = """
id: whole
name: The whole thing
stages:
  - {id: plan, name: Make a plan, profession: product_manager, output: [parts], next: [build, ask]}
  - id: build
    kind: subflow
    subflow: {id: inner}
    map: {over: parts, as: part}
    mutex: bench
    next:
      - {to: check, when: "result.ok"}
      - {to: plan, else: true, max_times: 2, max_time: 1h30m}
    on_error: {to: stop}
  - {id: ask, kind: wait, wait: {signal: go}, choice: first, next: [check]}
  - {id: late, kind: wait, wait: {for: 90s}, choice: first, next: [check]}
  - id: check
    kind: review
    join: {at_least: 2, rest: cancel}
    review: {by: ["role:lead", "profession:architect"], quorum: 2, on_reject: plan, max_rounds: 3}
    cancel: [late]
    next: [stop]
  - {id: stop, kind: end, end: {status: completed}}
subflows:
  inner:
    inputs: {part: string}
    stages:
      - {id: a, profession: developer, input: [part], next: [b]}
      - {id: b, profession: developer, agent: human}
"""


def workflow() -> Workflow:
    return read_workflow(FLOW.encode(), "flow.yaml").workflow


def arrow(source: str, target: str, marks: Marks | None = None) -> Arrow:
    (found,) = (
        each for each in draw_workflow(workflow(), marks).arrows if (each.source, each.target) == (source, target)
    )
    return found


def box(name: str, marks: Marks | None = None) -> Box:
    (found,) = (each for each in draw_workflow(workflow(), marks).boxes if each.name == name)
    return found


def test_every_stage_is_a_box_that_says_what_it_does() -> None:
    drawn = draw_workflow(workflow())
    assert drawn.title == "The whole thing"
    assert [each.name for each in drawn.boxes] == [
        "plan", "build", "ask", "late", "check", "stop", "build/a", "build/b"
    ]  # fmt: skip
    assert box("plan").lines == ["plan: Make a plan", "product_manager"]
    assert box("build").lines == ["build", "for each part of parts", "mutex: bench"]
    assert box("ask").lines == ["ask", "waits for the signal go", "choice: first"]
    assert box("late").lines == ["late", "waits 1m30s", "choice: first"]
    assert box("check").lines[1:] == [
        "review by role:lead, profession:architect, 2 of them",
        "join: at least 2, the rest cancelled",
    ]
    assert box("stop").lines == ["stop", "ends: completed"]
    assert box("build/b").lines == ["b", "developer", "a person answers"]
    assert (box("check").form, box("stop").form, box("build").form) == ("hexagon", "circle", "double")


def test_every_way_on_is_an_arrow_that_says_when() -> None:
    assert arrow("build", "check").text == "result.ok"
    assert arrow("build", "plan") == Arrow(source="build", target="plan", text="else, ≤ 2×, within 1h30m", dashed=True)
    assert arrow("build", "stop").text == "on error"
    assert arrow("check", "plan").text == "rejected, ≤ 2×"
    assert arrow("check", "late") == Arrow(source="check", target="late", text="cancels", dashed=True)


def test_what_runs_inside_a_stage_is_framed_below_it() -> None:
    drawn = draw_workflow(workflow())
    assert [(each.name, each.title, each.group) for each in drawn.frames] == [("build", "build: inner", "")]
    assert box("build/a").group == "build"
    assert arrow("build", "build/a").dashed
    assert arrow("build/a", "build/b").text == ""


def test_marks_stand_on_the_stages_and_branches_that_they_are_about() -> None:
    marks = Marks(
        states={"plan": "completed", "build/a": "failed"},
        lines={"plan": ["2× completed"]},
        taken={("", 0): 2, ("build", 0): 1},
    )
    assert box("plan", marks).lines[-1] == "2× completed"
    assert (box("plan", marks).state, box("build/a", marks).state, box("stop", marks).state) == (
        "completed", "failed", "quiet"
    )  # fmt: skip
    assert arrow("plan", "build", marks) == Arrow(source="plan", target="build", text="2×", thick=True)
    assert arrow("build/a", "build/b", marks).text == "1×"
    assert arrow("plan", "ask", marks).quiet
