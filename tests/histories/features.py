"""What the golden histories show: for each feature a workflow, and the commands that play it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A workflow file, the options of its run, and what is typed afterwards, where `RUN` and `FLOW` stand for its
    id and its file."""

    flow: str
    run: tuple[str, ...] = ()
    after: tuple[tuple[str, ...], ...] = ()
    code: int = 0  # that the run ends with


def _flow(name: str, *stages: str, head: str = "", tail: str = "") -> str:
    lines = [line if "kind:" in line else f"{line}, agent: script, profession: qa_engineer" for line in stages]
    return f"id: {name}\n{head}stages:\n" + "".join(f"  - {{{line}}}\n" for line in lines) + tail


PART = "{inputs: {x: string}, stages: [{id: p, profession: qa_engineer, input: [x], output: [y], next: [q]}, {id: q, profession: data_analyst, input: [y], output: [z]}]}"  # noqa: E501

FEATURES: dict[str, Feature] = {
    "chain": Feature(
        flow=_flow(
            "chain",
            "id: a, input: [topic], output: [x], next: [b]",
            "id: b, input: [x], output: [y], next: [c]",
            "id: c, input: [y], output: [z]",
            head="inputs: {topic: string}\n",
        ),
        run=("--input", "topic=tea", "--tag", "kind=golden", "--key", "once"),
    ),
    "retries": Feature(
        flow=_flow(
            "retries", "id: a, retry: {max_attempts: 3, backoff: 10ms}, with: {script: [{fail: no}, {fail: no}, {}]}"
        )
    ),
    "failure": Feature(flow=_flow("failure", "id: a, next: [b], with: {script: [{fail: broken}]}", "id: b"), code=1),
    "error_ways": Feature(
        flow=_flow(
            "error_ways",
            "id: a, next: [b], on_error: {to: c}, with: {script: [{fail: broken}]}",
            "id: b",
            "id: c, on_error: skip, next: [d], with: {script: [{fail: broken too}]}",
            "id: d",
        )
    ),
    "joins": Feature(
        flow=_flow(
            "joins",
            'id: s, next: [a, b, {to: c, when: "result.more"}], with: {script: [{result: {more: false}}]}',
            "id: a, next: [all, first, some, each]",
            "id: b, next: [all, first, some, each]",
            "id: c, next: [some, first]",
            "id: all, join: all",
            "id: first, join: any",
            "id: each, join: each",
            "id: some, join: {at_least: 2, rest: cancel}",
        )
    ),
    "loop": Feature(
        flow=_flow(
            "loop",
            "id: make, output: [thing], next: [check]",
            'id: check, input: [thing], next: [{to: make, when: "!result.ok", max_times: 3}, {to: done, else: true}], '
            "with: {script: [{result: {ok: false}}, {result: {ok: false}}, {result: {ok: true}}]}",
            "id: done",
        )
    ),
    "map": Feature(
        flow=_flow(
            "map",
            "id: each, input: [item], output: [o], map: {over: list, max_parallel: 2, collect: all}, next: [end]",
            "id: end, input: [all]",
            head="inputs: {list: list}\n",
        ),
        run=("--input", 'list:=["a", "b", {"c": 3}]'),
    ),
    "subflow": Feature(
        flow=_flow(
            "subflow",
            "id: s, kind: subflow, subflow: {id: part, inputs: {x: t}, outputs: {out: z}}, next: [e]",
            "id: m, kind: subflow, subflow: {id: part}, map: {over: list, as: x, collect: all}, output: [z]",
            "id: e, input: [out]",
            head="inputs: {t: string, list: list}\n",
            tail=f"subflows:\n  part: {PART}\n",
        ),
        run=("--input", "t=x", "--input", 'list:=["k", "l"]'),
    ),
    "waits": Feature(
        flow=_flow(
            "waits",
            "id: a, next: [b]",
            "id: soon, kind: wait, wait: {for: 50ms}, choice: c, next: [x]",
            "id: late, kind: wait, wait: {signal: go}, choice: c, next: [y]",
            "id: after, kind: wait, wait: {stage: a}, next: [z]",
            "id: b",
            "id: x",
            "id: y",
            "id: z",
        )
    ),
    "review": Feature(
        flow=_flow(
            "review",
            "id: a, output: [x], next: [r]",
            "id: r, kind: review, input: [x], "
            "review: {by: ['role:lead'], timeout: 300ms, on_timeout: approve}, next: [b]",
            "id: b",
        )
    ),
    "mutex_and_cancel": Feature(
        flow=_flow(
            "mutex_and_cancel",
            "id: a, mutex: m, next: [c]",
            "id: b, mutex: m, next: [c]",
            "id: c, join: all, cancel: [slow], next: [stop]",
            "id: slow, with: {script: [{delay: 30s}]}",
            "id: stop, kind: end, end: {status: completed}",
        )
    ),
    "cancelled": Feature(
        flow=_flow("cancelled", "id: a, next: [b], with: {script: [{delay: 60s}]}", "id: b"),
        run=("--timeout", "1s"),
        code=1,
    ),
    "timeout": Feature(flow=_flow("timeout", "id: a, timeout: 300ms, with: {script: [{delay: 60s}]}"), code=1),
    "big_contents": Feature(
        flow=_flow(
            "big_contents",
            f"id: a, output: [x], with: {{script: [{{outputs: {{x: {'long ' * 2000}}}}}]}}, next: [b]",
            "id: b, input: [x]",
        )
    ),
    "same_key": Feature(flow=_flow("same_key", "id: a"), run=("--key", "k"), after=(("run", "FLOW", "--key", "k"),)),
    "rerun": Feature(
        flow=_flow("rerun", "id: a, output: [x], next: [b]", "id: b, input: [x], next: [c]", "id: c"),
        after=(("workflows", "rerun", "RUN", "--from", "b"), ("run", "FLOW")),
    ),
    "budget": Feature(
        flow=_flow("budget", "id: a"),
        after=(("budgets", "set", "workspace", "--tokens", "100000"), ("run", "FLOW"), ("budgets", "list")),
    ),
    "messages": Feature(
        flow=_flow("messages", "id: a"),
        after=(
            ("messages", "send", "profession:qa_engineer", "hello", "--priority", "3"),
            ("messages", "send", "all", "{}", "--expires-in", "50ms"),
            ("run", "FLOW"),
        ),
    ),
}
