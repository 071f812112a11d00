"""A trace as a page: complete, in two languages, and with nothing in it that a record could bring to life."""

import re
from html.parser import HTMLParser

import pytest

from services.audit import trace_drawing, trace_page
from services.audit.trace import build_trace
from services.audit.trace_drawing import draw_trace
from services.audit.trace_page import write_page
from services.audit.trace_spans import read_spans
from services.records.task import RunCancelRequested, RunEnded, RunRequested, StageCompleted, StageEnded, TaskRequested
from tests.services.audit.recorded import Recorded
from tests.services.audit.story import Story, work
from tests.services.audit.test_trace import RUN, task, whole_run
from tests.services.cli.conftest import Clawx

HOSTILE = "</style></title><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\u202e"
VOID = {"meta", "input", "img", "br"}
KNOWN = {
    "html", "head", "meta", "title", "style", "body", "input", "label", "span", "h1", "h2", "p", "code", "table", "tr",
    "th", "td", "div", "i", "b", "small", "details", "summary", "a",
}  # fmt: skip


class Page(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.anchors: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}
        found = dict(attrs)
        self.anchors += [found["id"] or ""] if tag == "span" and "id" in found else []
        self.links += [found["href"] or ""] if tag == "a" else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def hostile_run() -> Story:
    story = Story()
    ask = story.tell(RunRequested(workspace_id=HOSTILE, workflow_id=HOSTILE, definition="d"), record_id="ask-1")
    nasty = work(RUN, HOSTILE).model_copy(update={"profession": HOSTILE})
    asked = story.tell(TaskRequested(workspace_id="w", task_id="t", attempt=1, attempt_id="a", work=nasty), ask)
    end = StageEnded(workspace_id="w", run_id=RUN, stage=HOSTILE, execution=1, status=HOSTILE, reason=HOSTILE)
    story.tell(end, asked)
    story.tell(RunCancelRequested(workspace_id="w", run_id=RUN, reason=HOSTILE, actor=HOSTILE), asked)
    return story


def test_a_page_has_each_record_twice_and_every_link_leads_somewhere() -> None:
    root = build_trace(RUN, whole_run().envelopes)
    page = Page(write_page(root, RUN))
    places = {str(node.at).replace("/", "-") for node in root.walk()}
    assert set(page.anchors) == places
    assert {link.removeprefix("#") for link in page.links} == places
    assert page.open == []
    assert page.tags <= KNOWN


def test_whatever_stands_in_a_record_stays_a_text() -> None:
    text = write_page(build_trace(RUN, hostile_run().envelopes), HOSTILE)
    page = Page(text)
    assert page.tags <= KNOWN
    assert page.open == []
    assert page.names <= {
        "lang", "charset", "http-equiv", "content", "name", "type", "id", "checked", "for", "class", "style", "title",
        "href", "open",
    }  # fmt: skip
    assert "\u202e" not in text
    assert text.count("<style>") == text.count("</style>") == 1
    assert "&lt;script&gt;alert(1)" in text
    assert not re.search(r"https?:", text)


def test_every_label_is_there_in_both_languages() -> None:
    text = write_page(build_trace(RUN, whole_run().envelopes), RUN)
    assert text.count('class="zh"') == text.count('class="en"') > 10
    assert '<input type="radio" name="language" id="zh" checked>' in text
    assert "default-src 'none'" in text


def test_spans_say_when_a_stage_was_asked_for_begun_and_ended() -> None:
    root = build_trace(RUN, whole_run().envelopes)
    nodes = sorted(root.walk(), key=lambda node: node.envelope.time_ms)
    (span,) = read_spans(nodes)
    at = {type(node.envelope.record).__name__: node.envelope.time_ms for node in nodes}
    assert (span.name, span.status) == ("make", "completed")
    assert (span.asked_ms, span.begun_ms, span.ended_ms) == (
        at["TaskRequested"], at["TaskAssigned"], at["StageCompleted"]
    )  # fmt: skip


def test_what_is_too_much_for_a_page_or_a_drawing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_page, "LINES_MAX", 100)
    monkeypatch.setattr(trace_drawing, "BOXES_MAX", 100)
    story = Story()
    cause = story.tell(RunRequested(workspace_id="w", workflow_id="flow", definition="d"), record_id="ask-1")
    for attempt in range(2_000):
        cause = story.tell(task(RUN, attempt), cause)
    story.tell(StageCompleted(workspace_id="w", run_id=RUN, stage="make", execution=1), cause)
    story.tell(RunEnded(workspace_id="w", run_id=RUN, status="completed"), cause)
    root = build_trace(RUN, story.envelopes)
    page = write_page(root, RUN)
    assert "1903 more records are not shown." in page
    assert Page(page).open == []
    drawn = draw_trace(root, RUN)
    assert (len(drawn.boxes), len(drawn.arrows)) == (100, 99)
    assert drawn.title == f"{RUN} (and 1903 records more)"


def test_the_program_writes_every_form(recorded: Recorded, clawx: Clawx) -> None:
    def traced(*arguments: str) -> str:
        ended = clawx("trace", *arguments, "--bus", recorded.url, "--data", recorded.data)
        assert ended.code == 0, ended.err
        return ended.out

    assert traced(recorded.chain, "--format", "mermaid").splitlines()[3] == "flowchart TD"
    assert traced(recorded.chain, "--format", "dot").startswith("digraph {")
    assert traced(recorded.chain, "--format", "json") == traced(recorded.chain, "--json")
    page = Page(traced(recorded.chain, "--format", "html"))
    assert page.open == []
    assert len(page.anchors) > 20
    assert "StageCompleted" in traced(f"{recorded.chain}/report")
    assert "RunEnded" in traced(f"{recorded.chain}/plan", "--effects")
    both = clawx("trace", recorded.chain, "--json", "--format", "html", "--bus", recorded.url)
    assert both.code == 2
    unknown = clawx("trace", "nothing", "--bus", recorded.url, "--data", recorded.data)
    assert (unknown.code, unknown.out) == (2, "")
    assert "no record names 'nothing'" in unknown.err
