"""A trace as one HTML page that needs nothing else: stages over time, the causal tree, every record in its order.

In Chinese and English; no script, and whatever a record holds is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from services.audit.outline import Line, outline
from services.audit.summary import summarise
from services.audit.trace import Node, actor_of, is_bad
from services.audit.trace_spans import Span, read_spans
from services.audit.trace_style import STYLE
from services.diagram import shorten

LINES_MAX = 20_000
"""Most records that a page shows; a browser grows slow beyond."""

SUMMARY_CHARS_MAX = 300


def write_page(root: Node, title: str) -> str:
    """The page."""
    nodes = sorted(root.walk(), key=lambda node: (node.envelope.time_ms, *node.at))
    return "\n".join(
        [
            '<!doctype html><html lang="zh-CN"><head><meta charset="utf-8">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_text(title)}</title><style>{STYLE}</style></head><body>",
            *_switch(),
            f"<h1>{_label('追踪', 'Trace')} <code>{_text(title)}</code></h1>",
            *_head(nodes),
            f"<h2>{_label('各阶段的时间', 'Stages over time')}</h2>",
            *_spans(read_spans(nodes)),
            f"<h2>{_label('因果树', 'Causal tree')}</h2>",
            f"<p>{_label(*_TREE)}</p>",
            *_tree(outline(root), root.envelope.time_ms),
            f"<h2>{_label('时间线', 'Timeline')}</h2>",
            *_timeline(nodes, root.envelope.time_ms),
            "</body></html>",
        ]
    )


_TREE = (
    "每一行由同一缩进的上一行引起，或由它所挂靠的那一行引起。",
    "Each line was caused by the one above it at its depth, or by the one that it hangs from.",
)


def _text(text: str) -> str:
    return html.escape(shorten(text, SUMMARY_CHARS_MAX))


def _label(chinese: str, english: str) -> str:
    return f'<span class="zh">{html.escape(chinese)}</span><span class="en">{html.escape(english)}</span>'


def _switch() -> Iterator[str]:
    """Two radio buttons before everything else; the style shows the language of the one that is chosen."""
    for number, (name, shown) in enumerate((("zh", "中文"), ("en", "English"))):
        chosen = " checked" if not number else ""
        yield f'<input type="radio" name="language" id="{name}"{chosen}><label for="{name}">{shown}</label>'


def _head(nodes: list[Node]) -> Iterator[str]:
    first, last = nodes[0].envelope, nodes[-1].envelope
    moment = datetime.fromtimestamp(first.time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    bad = sum(is_bad(node) for node in nodes)
    channels = sorted({node.at.channel for node in nodes})
    rows = [
        (_label("开始", "Began"), moment),
        (_label("历时", "Took"), f"{(last.time_ms - first.time_ms) / 1000:.3f} s"),
        (_label("记录", "Records"), f"{len(nodes)}"),
        (_label("频道", "Channels"), ", ".join(channels)),
        (_label("失败与拒绝", "Failures and refusals"), f"{bad}"),
    ]
    yield '<table class="head">'
    yield from (f"<tr><th>{name}</th><td>{_text(value)}</td></tr>" for name, value in rows)
    yield "</table>"


# Stages over time.


def _spans(spans: list[Span]) -> Iterator[str]:
    if not spans:
        yield f"<p>{_label('没有任务。', 'There are no tasks.')}</p>"
        return
    start_ms, end_ms = min(span.asked_ms for span in spans), max(span.ended_ms for span in spans)
    yield '<div class="spans">'
    for span in spans[:LINES_MAX]:
        yield f'<div class="name" title="{_text(span.name)}">{_text(span.name)}</div><div class="lane">'
        yield from _bars(span, start_ms, max(1, end_ms - start_ms))
        yield "</div>"
    yield "</div>"
    waited, worked = _label("排队", "waiting"), _label("工作", "at work")
    yield f'<p class="key"><i class="bar waited"></i>{waited} <i class="bar worked"></i>{worked}</p>'


def _bars(span: Span, start_ms: int, whole_ms: int) -> Iterator[str]:
    begun_ms = min(max(span.begun_ms or span.ended_ms, span.asked_ms), span.ended_ms)
    for kind, left_ms, right_ms in (("waited", span.asked_ms, begun_ms), ("worked", begun_ms, span.ended_ms)):
        left, width = 100 * (left_ms - start_ms) / whole_ms, 100 * (right_ms - left_ms) / whole_ms
        status = _text(span.status)
        said = f"{_text(span.name)}: {status}, {(right_ms - left_ms) / 1000:.3f} s"
        yield f'<i class="bar {kind} {status}" style="left:{left:.3f}%;width:{width:.3f}%" title="{said}"></i>'


# The tree.


def _tree(lines: Iterable[Line], start_ms: int) -> Iterator[str]:
    """Nested where a line has others below it, so that they can be folded away."""
    yield '<div class="tree">'
    shown, more = _cut(lines)
    opened: list[int] = []
    for number, (depth, node) in enumerate(shown):
        while opened and opened[-1] >= depth:
            opened.pop()
            yield "</div></details>"
        line = _line(node, start_ms)
        if number + 1 < len(shown) and shown[number + 1].depth > depth:
            opened.append(depth)
            yield f'<details open><summary>{line}</summary><div class="below">'
        else:
            yield f'<div class="line">{line}</div>'
    yield from ("</div></details>" for _ in opened)
    yield f"</div>{_left_out(more)}"


def _line(node: Node, start_ms: int) -> str:
    envelope, kind = node.envelope, type(node.envelope.record).__name__
    tone = "bad" if is_bad(node) else envelope.origin.kind
    return (
        f'<span class="time" id="{_anchor(node)}">{_after(envelope.time_ms - start_ms)}</span> '
        f'<b class="{html.escape(tone)}">{html.escape(kind)}</b> {_text(summarise(envelope.record))} '
        f"<small>{_text(actor_of(envelope) or envelope.origin.kind)} {html.escape(str(node.at))}</small>"
    )


def _anchor(node: Node) -> str:
    return html.escape(str(node.at).replace("/", "-"))


def _after(ms: int) -> str:
    return f"{ms / 1000:+.3f} s"


# The timeline.


def _timeline(nodes: list[Node], start_ms: int) -> Iterator[str]:
    shown, more = nodes[:LINES_MAX], max(0, len(nodes) - LINES_MAX)
    heads = [("时刻", "Time"), ("频道", "Channel"), ("谁", "Who"), ("记录", "Record"), ("内容", "What it says")]
    yield '<table class="timeline"><tr>' + "".join(f"<th>{_label(*head)}</th>" for head in heads) + "</tr>"
    for node in shown:
        envelope = node.envelope
        channel = html.escape(node.at.channel)
        yield (
            f'<tr class="{channel}"><td class="time">{_after(envelope.time_ms - start_ms)}</td><td>{channel}</td>'
            f"<td>{_text(actor_of(envelope) or envelope.origin.kind)}</td>"
            f'<td><a href="#{_anchor(node)}">{html.escape(type(envelope.record).__name__)}</a></td>'
            f"<td>{_text(summarise(envelope.record))}</td></tr>"
        )
    yield f"</table>{_left_out(more)}"


def _cut(lines: Iterable[Line]) -> tuple[list[Line], int]:
    every = list(lines)
    return every[:LINES_MAX], max(0, len(every) - LINES_MAX)


def _left_out(more: int) -> str:
    return f"<p>{_label(f'另有 {more} 条记录未显示。', f'{more} more records are not shown.')}</p>" if more else ""
