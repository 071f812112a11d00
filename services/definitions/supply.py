"""Checks that the inputs of each stage are there before it can run, and are of the type that it asks for."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from services.definitions.dataflow import Ancestry, is_shared, read_names, run_inputs, writers
from services.definitions.finding import Findings
from services.definitions.graph import Graph
from services.definitions.option import JsonSchema, StageInput, StageOutput
from services.definitions.problem import suggest
from services.definitions.workflow import Input

Path = tuple[str | int, ...]

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "list": (list,),
}
_SCHEMA_TYPES = {"list": "array", "file": "", "path": "", "json": ""}


def check_supply(findings: Findings, graph: Graph, alive: frozenset[int]) -> None:
    """Report inputs that nobody writes before the stage can run; `alive` are the stages that may."""
    workflow = findings.workflow
    written = writers(workflow)
    given = workflow.inputs or run_inputs(workflow)
    ancestry: Ancestry | None = None
    for number, stage in enumerate(workflow.stages):
        for name, optional in read_names(stage).items():
            if optional or name in given or is_shared(name) or number not in alive:
                continue
            path = _input_path(findings, number, name)
            if name not in written:
                known = {*given, *written}
                reason = f"nobody produces the input `{name}`: no stage writes it, and `inputs` does not declare it"
                findings.add(path, reason, suggest(name, known) if known else "")
                continue
            # What compensates runs at the end, whatever led there.
            direct = number in graph.compensations or any(b.source in written[name] for b in graph.forward_in[number])
            ancestry = ancestry if direct else ancestry or Ancestry(graph)
            if not direct and ancestry and not any(ancestry.is_before(w, number) for w in written[name]):
                _report_late(findings, path, name, graph.stages[written[name][0]].id, stage.id)


def check_derived_inputs(findings: Findings) -> None:
    """Warn of an input that is one of the run only because its name differs a little from what a stage writes."""
    written = writers(findings.workflow)
    derived = run_inputs(findings.workflow).keys() - findings.workflow.inputs.keys()
    for number, stage in enumerate(findings.workflow.stages):
        for name in read_names(stage):
            near = difflib.get_close_matches(name, sorted(written), n=1, cutoff=0.85) if name in derived else []
            if near and not findings.workflow.inputs:
                reason = f"no stage writes `{name}`, so it becomes an input of the run"
                findings.warn(_input_path(findings, number, name), reason, f"did you mean `{near[0]}`?")


def _report_late(findings: Findings, path: Path, name: str, writer: str, reader: str) -> None:
    source = "the stage itself" if writer == reader else f"`{writer}`"
    findings.add(
        path,
        f"nobody produces the input `{name}` before the stage can run the first time: {source} writes it",
        f"lead `{writer}` to it, or write {{name: {name}, optional: true}}",
    )


def _input_path(findings: Findings, number: int, name: str) -> Path:
    stage = findings.workflow.stages[number]
    for position, part in enumerate(stage.input):
        if part.name == name:
            return ("stages", number, "input", position)
    return ("stages", number, "map" if stage.map and stage.map.over == name else "subflow")


def check_types(findings: Findings) -> None:
    """Report schemas that are none, defaults of another type, and inputs of another type than what they are given."""
    workflow = findings.workflow
    for name, declared in workflow.inputs.items():
        _check_default(findings, name, declared)
        _check_schema(findings, ("inputs", name, "schema"), declared.schema_)
    written: dict[str, list[tuple[str, StageOutput]]] = {}
    for number, stage in enumerate(workflow.stages):
        for position, output in enumerate(stage.output):
            written.setdefault(output.name, []).append((stage.id, output))
            _check_schema(findings, ("stages", number, "output", position, "schema"), output.schema_)
    for number, stage in enumerate(workflow.stages):
        for position, part in enumerate(stage.input):
            path = ("stages", number, "input", position)
            _check_schema(findings, (*path, "schema"), part.schema_)
            for giver, given in _givers(workflow.inputs, written, part.name):
                _compare(findings, path, part, giver, given)


def _givers(
    inputs: dict[str, Input], written: dict[str, list[tuple[str, StageOutput]]], name: str
) -> Iterator[tuple[str, Input | StageOutput]]:
    if name in inputs:
        yield "the input of the run", inputs[name]
    for stage, output in written.get(name, ()):
        yield f"the stage `{stage}`", output


def _compare(findings: Findings, path: Path, part: StageInput, giver: str, given: Input | StageOutput) -> None:
    if part.type and given.type and not _fits(given.type, part.type):
        reason = f"the type of `{part.name}` is {part.type} here, but {giver} gives {given.type}"
        findings.add(path, reason, f"write `type: {given.type}`")
        return
    wanted, got = _schema_types(part.type, part.schema_), _schema_types(given.type, given.schema_)
    if wanted and got and not any(_fits(g, w) for g in got for w in wanted):
        reason = f"`{part.name}` is {' or '.join(wanted)} here, but {giver} gives {' or '.join(got)}"
        findings.add(path, reason, "make the two schemas agree")


def _fits(given: str, wanted: str) -> bool:
    """`file` and `path` are content of any kind, `json` any value; an integer is a number."""
    loose = {"json", "file", "path"}
    if given == wanted or (given, wanted) == ("integer", "number"):
        return True
    return "json" in (given, wanted) or (given in loose and wanted in loose)


def _schema_types(type_name: str | None, schema: JsonSchema | None) -> list[str]:
    if isinstance(schema, dict) and "type" in schema:
        found = schema["type"]
        return [str(name) for name in (found if isinstance(found, list) else [found])]
    plain = _SCHEMA_TYPES.get(type_name or "", type_name)
    return [plain] if plain else []


def _check_default(findings: Findings, name: str, declared: Input) -> None:
    if declared.default is None or declared.type is None:
        return
    types = _PYTHON_TYPES.get(declared.type)
    if types and not _is_of(declared.default, types):
        reason = f"the default `{declared.default}` is not of the type {declared.type}"
        findings.add(("inputs", name, "default"), reason, "change the type or the default")


def _is_of(value: Any, types: tuple[type, ...]) -> bool:
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


def _check_schema(findings: Findings, path: Path, schema: JsonSchema | None) -> None:
    if schema is None or isinstance(schema, bool):
        return
    from jsonschema import Draft202012Validator, SchemaError
    from jsonschema.validators import validator_for

    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        findings.add(path, f"this is no JSON Schema: {error.message}", "see https://json-schema.org")
