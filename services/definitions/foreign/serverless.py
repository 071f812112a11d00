"""Workflows in the language of the Serverless Workflow specification, version 1.0: its tasks become stages in a line.

Conditions are written in jq there. Plain comparisons of fields become CEL over `result`, what the stage before said, or
over `inputs` where nothing was before. Of any other, the stage before has to say by a flag of the case's name that it
holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from services.definitions.foreign.condition import translate_condition
from services.definitions.foreign.duration import read_after
from services.definitions.foreign.translation import Translation, mapping

LAPS_MAX = 100
"""Limit of a jump back, which has none there."""

Edge = dict[str, Any]
_TASKS = ("call", "do", "emit", "for", "fork", "listen", "raise", "run", "set", "switch", "try", "wait")
_AROUND = {"if", "then", "timeout"}
_KNOWN_HEAD = {"document", "input", "do", "timeout"}


@dataclass(slots=True, kw_only=True)
class _Level:
    """The stages of one workflow, the outermost or one that an iteration runs."""

    stages: list[dict[str, Any]] = field(default_factory=list)
    entries: dict[str, list[Edge]] = field(default_factory=dict)  # of the tasks so far, from the last to the first
    pending: list[tuple[Edge, str]] = field(default_factory=list)  # edges to tasks that stand before them
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)


def translate(translation: Translation) -> dict[str, Any]:
    """Our form of it; raises DefinitionInvalid for what is no such workflow."""
    value = translation.document.value
    head = mapping(value.get("document"))
    tasks = value.get("do")
    if not head or not isinstance(tasks, list) or not tasks:
        raise translation.refuse("there is no `document` with a `do` list of tasks")
    if not str(head.get("dsl", "")).startswith("1."):
        translation.lose("document.dsl", f"version {head.get('dsl')} is read as if it were 1.0")
    translation.lose_fields("workflow", value, _KNOWN_HEAD)
    found = _Sequence(translation).translate(tasks, "do")
    schema = mapping(mapping(mapping(value.get("input")).get("schema")).get("document"))
    for name, wanted in mapping(schema.get("properties")).items():
        declared = {"required": name in (schema.get("required") or [])}
        found["inputs"][name] = {**found["inputs"].get(name, {}), **declared, **_typed(mapping(wanted))}
    flow: dict[str, Any] = {"id": translation.name(head.get("name", "imported"))}
    for ours, theirs in (("name", "title"), ("version", "version"), ("description", "summary")):
        if head.get(theirs):
            flow[ours] = str(head[theirs])
    if after := read_after(value.get("timeout")):
        flow["timeout"] = after
    return {**flow, **{name: part for name, part in found.items() if part}}


def _typed(schema: dict[str, Any]) -> dict[str, Any]:
    kinds = {
        "string": "string",
        "integer": "integer",
        "number": "number",
        "boolean": "boolean",
        "array": "list",
        "object": "json",
    }
    kind = kinds.get(str(schema.get("type")))
    return {"type": kind} if kind else {}


class _Sequence:
    """The translation of one list of tasks and of those inside it, from its end to its beginning."""

    def __init__(self, translation: Translation) -> None:
        self._t = translation
        self._level = _Level()
        self._subflows: dict[str, dict[str, Any]] = {}

    def translate(self, tasks: list[Any], where: str) -> dict[str, Any]:
        """Inputs, stages and subflows."""
        entry = self._tasks(tasks, where, [])
        if len(entry) > 1 or any(self._is_conditional(edge) for edge in entry):
            self._gate(f"{where}_begin", entry)
        for edge, name in self._level.pending:
            self._close(edge, name, where)
        stages = self._level.stages[::-1]
        for stage in stages:
            self._decide(stage)
        return {"inputs": self._level.inputs, "stages": stages, "subflows": self._subflows}

    def _close(self, edge: Edge, name: str, where: str) -> None:
        """A jump to a task that stands before it."""
        entry = self._level.entries.get(name, [])
        if len(entry) != 1 or self._is_conditional(entry[0]):
            raise self._t.refuse(f"`then: {name}` in {where} leads nowhere that a stage could begin")
        edge["to"], edge["max_times"] = entry[0]["to"], LAPS_MAX
        self._t.lose(f"{where}: then {name}", f"a jump back needs a limit here; it has {LAPS_MAX}")

    def _tasks(self, tasks: list[Any], where: str, follow: list[Edge]) -> list[Edge]:
        """The edges that lead into a list of tasks, after which `follow` leads on."""
        for number, item in reversed(list(enumerate(tasks))):
            if not isinstance(item, dict) or len(item) != 1:
                raise self._t.refuse(f"{where}[{number}] is not one task with its name")
            ((name, task),) = item.items()
            follow = self._task(str(name), mapping(task), f"{where}.{name}", follow)
            self._level.entries[str(name)] = follow
        return follow

    def _task(self, name: str, task: dict[str, Any], where: str, follow: list[Edge]) -> list[Edge]:
        after = self._then(task, follow)
        kind = next((kind for kind in ("for", *_TASKS) if kind in task), "")
        if not kind:
            raise self._t.refuse(f"{where} is none of {', '.join(_TASKS)}")
        entry: list[Edge] = getattr(self, f"_{kind}")(name, task, where, after)
        own = {kind} | ({"catch"} if kind == "try" else set()) | ({"do", "while"} if kind == "for" else set())
        self._t.lose_fields(
            where,
            task,
            own | _AROUND | ({"with"} if kind == "call" else set()),
            "data is handed over as artifacts here",
        )
        if "if" not in task:
            return entry
        return self._only_if(name, str(task["if"]), entry, follow)

    def _then(self, task: dict[str, Any], follow: list[Edge]) -> list[Edge]:
        return self._target(task.get("then"), follow)

    def _target(self, then: Any, follow: list[Edge]) -> list[Edge]:
        if then in (None, "continue"):
            return follow
        if then in ("end", "exit"):
            return []
        if then in self._level.entries:
            return self._level.entries[str(then)]
        edge: Edge = {"to": ""}
        self._level.pending.append((edge, str(then)))
        return [edge]

    def _only_if(self, name: str, condition: str, entry: list[Edge], follow: list[Edge]) -> list[Edge]:
        (target,) = self._single(name, entry)
        past = self._single(f"{name}_past", follow) if follow else [{"to": self._end(f"{name}_past")}]
        return [{**target, "jq": condition, "flag": name}, *({**edge, "else": True} for edge in past)]

    def _single(self, name: str, edges: list[Edge]) -> list[Edge]:
        """One edge that always holds; through a gate, if these are others."""
        if len(edges) == 1 and edges[0]["to"] and not self._is_conditional(edges[0]):
            return edges
        return [{"to": self._gate(f"{name}_gate", edges)}]

    @staticmethod
    def _is_conditional(edge: Edge) -> bool:
        return "jq" in edge or "else" in edge

    # Stages.

    def _stage(self, name: str, follow: list[Edge], **more: Any) -> list[Edge]:
        stage = {"id": self._t.name(name), **more}
        # Edges are shared as they are until it is known what they lead to.
        stage["next"] = list(follow)
        self._level.stages.append(stage)
        return [{"to": stage["id"]}]

    def _gate(self, name: str, follow: list[Edge]) -> str:
        (edge,) = self._stage(name, follow, kind="wait", wait={"for": "1ms"})
        return str(edge["to"])

    def _end(self, name: str, status: str = "") -> str:
        more: dict[str, Any] = (
            {"kind": "end", "end": {"status": status}} if status else {"kind": "wait", "wait": {"for": "1ms"}}
        )
        (edge,) = self._stage(name, [], **more)
        return str(edge["to"])

    def _work(self, name: str, task: dict[str, Any], follow: list[Edge], **more: Any) -> list[Edge]:
        options = {"timeout": after} if (after := read_after(task.get("timeout"))) else {}
        return self._stage(name, follow, profession=self._t.profession, **options, **more)

    def _call(self, name: str, task: dict[str, Any], where: str, follow: list[Edge]) -> list[Edge]:
        self._t.lose(f"{where}.call", f"the call of `{task['call']}` is handed to the agent, which has to make it")
        return self._work(name, task, follow, **{"with": {"call": task["call"], "arguments": task.get("with", {})}})

    def _set(self, name: str, task: dict[str, Any], where: str, follow: list[Edge]) -> list[Edge]:
        self._t.lose(f"{where}.set", "the values are handed to the agent, which has to give them as its result")
        return self._work(name, task, follow, **{"with": {"set": task["set"]}})

    def _emit(self, name: str, task: dict[str, Any], where: str, follow: list[Edge]) -> list[Edge]:
        self._t.lose(f"{where}.emit", "the event is handed to the agent, which has to send it")
        return self._work(name, task, follow, **{"with": {"emit": task["emit"]}})

    def _run(self, name: str, task: dict[str, Any], where: str, follow: list[Edge]) -> list[Edge]:
        shell, script = mapping(mapping(task["run"]).get("shell")), mapping(mapping(task["run"]).get("script"))
        if "command" in shell:
            words = [str(shell["command"]), *map(str, shell.get("arguments") or [])]
            text = "set -e\n" + " ".join(words) + "\necho '{\"ok\": true}'"
            return self._work(name, task, follow, agent="command", **{"with": {"command": ["sh", "-c", text]}})
        if script.get("language") == "python" and "code" in script:
            text = str(script["code"]).rstrip() + "\nprint('{\"ok\": true}')"
            return self._work(name, task, follow, agent="command", **{"with": {"command": ["python3", "-c", text]}})
        self._t.lose(f"{where}.run", "what runs there is handed to the agent, which has to run it")
        return self._work(name, task, follow, **{"with": {"run": task["run"]}})

    def _wait(self, name: str, task: dict[str, Any], where: str, follow: list[Edge]) -> list[Edge]:
        return self._stage(name, follow, kind="wait", wait={"for": read_after({"after": task["wait"]}) or "1ms"})

    def _listen(self, name: str, task: dict[str, Any], where: str, follow: list[Edge]) -> list[Edge]:
        to = mapping(mapping(task["listen"]).get("to"))
        wanted: Any = to.get("one") or next(iter(to.get("any") or to.get("all") or []), {})
        if "one" not in to:
            self._t.lose(f"{where}.listen.to", "one signal is waited for, the first that is named")
        kind = str(mapping(mapping(wanted).get("with")).get("type") or name)
        return self._stage(name, follow, kind="wait", wait={"signal": kind})

    def _raise(self, name: str, task: dict[str, Any], where: str, follow: list[Edge]) -> list[Edge]:
        self._t.lose(f"{where}.raise", "the run fails; its error is told by the name of the stage alone")
        return [{"to": self._end(name, "failed")}]

    # What has others inside.

    def _do(self, name: str, task: dict[str, Any], where: str, follow: list[Edge]) -> list[Edge]:
        return self._tasks(task["do"], where, follow)

    def _switch(self, name: str, task: dict[str, Any], where: str, follow: list[Edge]) -> list[Edge]:
        edges: list[Edge] = []
        for case in task["switch"]:
            ((label, value),) = case.items()
            target = self._target(mapping(value).get("then"), follow)
            (edge,) = self._single(f"{name}_{label}", target) if target else [{"to": self._end(f"{name}_{label}")}]
            when = mapping(value).get("when")
            edge = dict(edge)
            edge |= {"else": True} if when is None else {"jq": str(when), "flag": str(label)}
            edges.append(edge)
        if not any("else" in edge for edge in edges):
            past = self._single(f"{name}_past", follow) if follow else [{"to": self._end(f"{name}_past")}]
            edges.append({**past[0], "else": True})
        return edges

    def _fork(self, name: str, task: dict[str, Any], where: str, follow: list[Edge]) -> list[Edge]:
        join: Any = {"at_least": 1, "rest": "cancel"} if mapping(task["fork"]).get("compete") else "active"
        (out,) = self._stage(f"{name}_join", follow, kind="wait", wait={"for": "1ms"}, join=join)
        entries: list[Edge] = []
        for number, branch in enumerate(mapping(task["fork"]).get("branches") or []):
            entries += self._single(f"{name}_{number}", self._tasks([branch], f"{where}.branches", [out]))
        return entries if len(entries) == 1 else [{"to": self._gate(name, entries)}]

    def _for(self, name: str, task: dict[str, Any], where: str, follow: list[Edge]) -> list[Edge]:
        each, over = mapping(task["for"]), str(mapping(task["for"]).get("in", ""))
        item, source = str(each.get("each", "item")), re.sub(r"[^\w]+", "_", over).strip("_") or "items"
        if "while" in task or "at" in each:
            self._t.lose(where, "`while` and `at` have no place in a map, which goes through its whole list")
        self._t.lose(
            f"{where}.for.in", f"the list `{over}` is the input `{source}` of the run, unless a stage writes it"
        )
        self._t.lose(where, "the items are gone through side by side; write max_parallel: 1 for one after the other")
        inner = _Sequence(self._t)
        found = inner.translate(task.get("do") or [], where)
        self._subflows |= found.pop("subflows")
        label = self._t.name(f"{name}_each")
        found["inputs"][item] = {"required": False}
        self._subflows[label] = found
        self._level.inputs[source] = {"type": "list"}
        return self._stage(name, follow, kind="subflow", subflow={"id": label}, map={"over": source, "as": item})

    def _try(self, name: str, task: dict[str, Any], where: str, follow: list[Edge]) -> list[Edge]:
        catch = mapping(task.get("catch"))
        self._t.lose_fields(f"{where}.catch", catch, {"retry", "do"}, "every error is caught here")
        handler = (
            self._single(f"{name}_catch", self._tasks(catch["do"], f"{where}.catch", follow)) if catch.get("do") else []
        )
        before = len(self._level.stages)
        entry = self._tasks(task["try"], where, follow)
        for stage in self._level.stages[before:]:
            if "profession" in stage:
                stage["on_error"] = dict(handler[0]) if handler else "skip"
                stage |= self._retry(f"{where}.catch", catch.get("retry"))
        return entry

    def _retry(self, where: str, retry: Any) -> dict[str, Any]:
        if not isinstance(retry, dict):
            if retry:
                self._t.lose(f"{where}.retry", "a policy by name is not looked up")
            return {}
        count = mapping(mapping(retry.get("limit")).get("attempt")).get("count", 3)
        factor = 1 if "constant" in mapping(retry.get("backoff")) else 2
        delay = read_after({"after": retry.get("delay")}) or "1s"
        return {"retry": {"max_attempts": int(count), "backoff": delay, "factor": factor}}

    # Conditions.

    def _decide(self, stage: dict[str, Any]) -> None:
        """Write the conditions of its edges, now that it is known what they follow."""
        is_gate = stage.get("kind") == "wait" and "for" in stage["wait"]
        variable, edges = "inputs" if is_gate else "result", []
        if is_gate and stage is not self._level.stages[-1] and any("jq" in edge for edge in stage["next"]):
            self._t.lose(stage["id"], "its conditions look at the inputs of the run, not at what the stage before said")
        for edge in stage.pop("next", []):
            written = {key: value for key, value in edge.items() if key not in ("jq", "flag")}
            if "jq" in edge:
                written["when"] = self._when(stage["id"], edge, variable)
            edges.append(written)
        if edges:
            stage["next"] = [edge["to"] if len(edge) == 1 else edge for edge in edges]
        if any("else" in edge for edge in edges):
            stage["choose"] = "first"

    def _when(self, stage: str, edge: Edge, variable: str) -> str:
        found = translate_condition(edge["jq"], variable)
        if found is None:
            flag = json.dumps(edge["flag"], ensure_ascii=False)
            self._t.lose(
                f"{stage}: {edge['jq']}", f"`{stage}` has to say {{{flag}: true}} in its result where this holds"
            )
            return f"{flag} in {variable} && {variable}[{flag}] == true"
        when, names = found
        if variable == "inputs":
            self._level.inputs |= {name: {"required": False} for name in names if name not in self._level.inputs}
        return when


def walk(flow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every stage, those inside too."""
    yield from flow["stages"]
    for inner in flow.get("subflows", {}).values():
        yield from inner["stages"]
