"""The progress of a run is told in plain lines, or kept in one table on a terminal."""

import io

import pytest
from rich.console import Console

from services.audit.progress import Progress
from services.cli.display import ROWS_MAX, Display, LineDisplay, LiveDisplay, span
from services.records.task import RunEnded, RunStarted, StageCompleted, StageEnded, TaskQueued, TaskRequested
from tests.services.audit.story import Story, work

RUN = "run-1"


def story() -> Story:
    told = Story()
    told.tell(RunStarted(workspace_id="w", run_id=RUN, ask_id="a", workflow_id="flow", definition="d"))
    for stage in ("make", "test"):
        request = TaskRequested(
            workspace_id="w", task_id=stage, attempt=1, attempt_id=stage, work=work(RUN, stage, execution=2)
        )
        told.tell(request)
    queue = TaskQueued(
        workspace_id="w", task_id="test", attempt_id="test", work=work(RUN, "test", 2), reason="nobody is free"
    )
    told.tell(queue)
    begun = told.now_ms
    told.pass_time(1_500)
    told.tell(StageCompleted(workspace_id="w", run_id=RUN, stage="make", execution=2, started_at_ms=begun))
    bad = StageEnded(workspace_id="w", run_id=RUN, stage="test", execution=2, status="failed", reason="it broke")
    told.tell(bad)
    told.tell(RunEnded(workspace_id="w", run_id=RUN, status="failed", reason="test failed"))
    return told


def show(display: Display, told: Story) -> Progress:
    progress = Progress(RUN)
    with display:
        for envelope in told.envelopes:
            display.show(progress, progress.apply(envelope))
    return progress


def test_lines_say_each_move_once(capsys: pytest.CaptureFixture[str]) -> None:
    show(LineDisplay(), story())
    assert capsys.readouterr().err.splitlines() == [
        "run run-1 of flow has started",
        "  test #2: queued: nobody is free",
        "  make #2: completed in 1.5 s",
        "  test #2: failed: it broke",
    ]


def test_the_table_shows_every_stage_and_what_is_to_come() -> None:
    display = LiveDisplay("Flow", {"make": "", "test": "", "ship": ""})
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=False)
    progress = Progress(RUN)
    for envelope in story().envelopes[:-1]:
        display.show(progress, progress.apply(envelope))
    console.print(display.render())
    text = out.getvalue()
    assert "Flow  running" in text
    assert "✓  make #2  1.5 s" in text
    assert "✗  test #2  " in text
    assert "it broke" in text
    assert "·  ship" in text


def test_the_table_stays_small_however_many_stages_there_are() -> None:
    told = Story()
    for number in range(3 * ROWS_MAX):
        request = TaskRequested(
            workspace_id="w", task_id=f"{number}", attempt=1, attempt_id=f"{number}", work=work(RUN, f"s{number}")
        )
        told.tell(request)
    display = LiveDisplay("Flow", {})
    out = io.StringIO()
    progress = Progress(RUN)
    for envelope in told.envelopes:
        display.show(progress, progress.apply(envelope))
    Console(file=out, width=100).print(display.render())
    assert len(out.getvalue().splitlines()) == ROWS_MAX + 1


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "0.0 s"), (9_949, "9.9 s"), (60_000, "60 s"), (125_000, "2 min"), (7_500_000, "2 h 5 min")]
)
def test_lengths_of_time_are_told_as_people_do(ms: int, text: str) -> None:
    assert span(ms) == text
