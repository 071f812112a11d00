"""The progress of a run on stderr: a table that stays in place on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self

from services.audit.progress import Execution, Key, Progress
from services.cli.terminal import tell

if TYPE_CHECKING:
    from rich.console import RenderableType

ROWS_MAX = 30
"""Most stages that are shown at once; those that are at work come first."""

_MARKS = {
    "completed": ("✓", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("■", "yellow"),
    "skipped": ("↷", "bright_black"),
    "assigned": ("●", "cyan"),
    "waiting": ("◌", "cyan"),
    "requested": ("◌", "cyan"),
    "queued": ("◌", "yellow"),
    "retrying": ("↻", "yellow"),
    "failing": ("✗", "red"),
}

_WORDS = {"assigned": "at work", "requested": "waiting for an instance", "failing": "failed"}


class Display(Protocol):
    """Where the progress of a run is shown. Used as a context manager around the run."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def show(self, progress: Progress, changed: Execution | None) -> None:
        """The run, or this execution of it, has moved."""
        ...

    def say(self, text: str) -> None:
        """A sentence beside the progress."""
        ...


def make_display(title: str, stages: Mapping[str, str]) -> Display:
    """The display that fits where stderr goes. `stages` are the names of the stages by id, in their order."""
    return LiveDisplay(title, stages) if sys.stderr.isatty() else LineDisplay()


class LineDisplay:
    """A line whenever a stage moves."""

    def __init__(self) -> None:
        self._said: dict[Key, tuple[str, int, str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def show(self, progress: Progress, changed: Execution | None) -> None:
        if changed is None:
            if progress.status == "running":
                tell(f"run {progress.run_id} of {progress.workflow_id} has started")
            return
        now = (changed.status, changed.attempts, changed.line)
        is_quiet = changed.status == "requested" or (changed.status == "waiting" and not changed.reason)
        if not is_quiet and self._said.get(changed.key) != now:
            self._said[changed.key] = now
            said = f" | {changed.line}" if changed.line else f": {describe(changed)}"
            tell(f"  {name_execution(changed.key)}{said}")

    def say(self, text: str) -> None:
        tell(text)


class LiveDisplay:
    """A table of the stages."""

    def __init__(self, title: str, stages: Mapping[str, str]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._title, self._stages = title, stages
        self._progress: Progress | None = None
        self._console = Console(stderr=True)
        # Drawn anew a few times a second, so that times go on; never more often, whatever happens.
        self._live = Live(get_renderable=self.render, console=self._console, refresh_per_second=5, transient=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def show(self, progress: Progress, changed: Execution | None) -> None:
        self._progress = progress

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    def render(self) -> RenderableType:
        """What stands on the terminal now."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        progress, now_ms = self._progress, time.time_ns() // 1_000_000
        table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
        for _ in range(5):
            table.add_column(no_wrap=True, overflow="ellipsis")
        for row in self._rows(progress, now_ms)[:ROWS_MAX]:
            table.add_row(*row)
        state = progress.status if progress else "starting"
        since = f"  {span(now_ms - progress.started_at_ms)}" if progress and progress.started_at_ms else ""
        if progress and progress.ended_at_ms:
            since = f"  {span(progress.ended_at_ms - (progress.started_at_ms or progress.ended_at_ms))}"
        return Group(Text(f"{self._title}  {state}{since}", style="bold"), table)

    def _rows(self, progress: Progress | None, now_ms: int) -> list[tuple[Any, ...]]:
        executions = list(progress.executions.values()) if progress else []
        begun = {each.key.stage for each in executions}
        rows = [self._row(each, now_ms) for each in executions]
        if len(rows) > ROWS_MAX:  # what is at work matters most, then what ended last
            at_work = [each for each in executions if not each.has_ended]
            ended = [each for each in executions if each.has_ended][-max(1, ROWS_MAX - len(at_work)) :]
            rows = [self._row(each, now_ms) for each in (*at_work, *ended)]
        from rich.text import Text

        waiting = (
            [stage for stage in self._stages if stage not in begun] if not (progress and progress.ended_at_ms) else []
        )
        return rows + [(Text("·", "bright_black"), Text(stage, "bright_black"), "", "", "") for stage in waiting]

    def _row(self, each: Execution, now_ms: int) -> tuple[Any, ...]:
        from rich.text import Text

        mark, style = _MARKS.get(each.status, ("?", ""))
        begun = each.started_at_ms or each.since_ms
        spent = span((each.ended_at_ms or now_ms) - begun) if each.started_at_ms or not each.has_ended else ""
        return (
            Text(mark, style),
            Text(name_execution(each.key)),
            Text(spent, "bright_black"),
            Text(name_instance(each), "bright_black"),
            Text(each.line or each.reason or _WORDS.get(each.status, each.status), "bright_black"),
        )


def name_execution(key: Key) -> str:
    """`stage`, with its item in a map and its execution from the second on."""
    item = f"[{key.item}]" if key.item >= 0 else ""
    return f"{key.stage}{item}" + (f" #{key.execution}" if key.execution > 1 else "")


def name_instance(execution: Execution) -> str:
    """The profession, and as much of the instance's id as tells it from others."""
    return f"{execution.profession} {execution.instance_id[:6]}".strip()


def describe(execution: Execution) -> str:
    """Where an execution stands, in a few words."""
    match execution.status:
        case "assigned":
            again = f", attempt {execution.attempts}" if execution.attempts > 1 else ""
            what = f"at work by {name_instance(execution)}{again}"
        case "completed":
            begun = execution.started_at_ms
            what = "completed" + (f" in {span(execution.ended_at_ms - begun)}" if begun else "")
        case "retrying":
            what = f"attempt {execution.attempts} failed and will be tried again"
        case "failing":
            what = "failed"
        case _:
            what = execution.status
    return f"{what}: {execution.reason}" if execution.reason else what


def span(ms: int) -> str:
    """A length of time for people."""
    if ms < 10_000:
        return f"{max(ms, 0) / 1000:.1f} s"
    seconds = ms // 1000
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h {seconds % 3600 // 60} min"
