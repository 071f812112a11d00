"""Whether a workflow makes sense: everything that can be found wrong before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from services.definitions.branch import LoopUnlimited
from services.definitions.confluence import check_joins
from services.definitions.contradiction import check_options
from services.definitions.document import Place
from services.definitions.finding import Findings
from services.definitions.graph import Graph, build_graph
from services.definitions.nesting import NestingInvalid, find_misplaced, levels_of
from services.definitions.problem import DefinitionInvalid, Problem
from services.definitions.reachability import check_reachability, dead_branches
from services.definitions.reference import Professions, check_conditions, check_professions, check_stage_names
from services.definitions.supply import check_derived_inputs, check_supply, check_types
from services.definitions.workflow import Workflow, WorkflowFile


def validate(source: WorkflowFile, professions: Professions | None = None) -> tuple[Problem, ...]:
    """Return what is wrong with a workflow, in the order of its lines; a workflow without errors can be run.

    `professions` has for each known profession, by id and by each alias, its skills with their levels; without it
    professions and skills are not looked up. What concerns the graph is looked at once the names are right.
    """
    subflows = source.workflow.subflows
    found = list(_validate(source, professions, subflows))
    for name in subflows:
        found += _validate(_inner_file(source, name), professions, subflows, within=f"subflow '{name}'")
    if subflows and not any(problem.severity == "error" for problem in found):
        found += _check_nesting(source)
    return tuple(sorted(found, key=lambda problem: (problem.line, problem.field, problem.reason)))


def _inner_file(source: WorkflowFile, name: str) -> WorkflowFile:
    """A subflow as if it were a file, with its lines in the outer one where it stands there."""
    places = source.place.parts.get("subflows", source.place).parts
    place = places.get(name, source.place)
    return WorkflowFile(workflow=source.workflow.subflows[name], file=source.file, place=place)


def _check_nesting(source: WorkflowFile) -> list[Problem]:
    try:
        levels_of(source.workflow, unread=True)
    except NestingInvalid as error:
        findings = Findings(source)
        findings.add(("subflows",), str(error))
        return findings.problems
    return []


def _validate(
    source: WorkflowFile, professions: Professions | None, subflows: Mapping[str, Workflow], within: str = ""
) -> list[Problem]:
    findings = Findings(source)
    check_stage_names(findings)
    names_right = not findings.problems
    check_options(findings)
    check_conditions(findings)
    check_types(findings)
    if professions is not None:
        check_professions(findings, professions)
    if names_right:
        _check_graph(findings)
    for each in find_misplaced(source.workflow, subflows):
        findings.add(("stages", each.stage, *each.path), each.reason, each.suggestion)
    if not within:
        return findings.problems
    return [replace(problem, field=f"{within}, {problem.field}".rstrip(", ")) for problem in findings.problems]


def require_valid(source: WorkflowFile, professions: Professions | None = None) -> tuple[Problem, ...]:
    """Return the warnings; raises DefinitionInvalid with everything that was found if any of it is an error."""
    problems = validate(source, professions)
    if any(problem.severity == "error" for problem in problems):
        raise DefinitionInvalid(problems)
    return problems


def without_lines(workflow: Workflow, file: str = "") -> WorkflowFile:
    """Return a workflow that came as JSON in the shape that is validated; all its problems stand in line 1."""
    return WorkflowFile(workflow=workflow, file=file, place=Place(1))


def _check_graph(findings: Findings) -> None:
    graph = _graph(findings)
    if graph is None:
        return
    if not graph.starts:
        findings.add(("stages",), "no stage can begin: each compensates another", "add a stage that begins")
        return
    dead = dead_branches(graph)
    alive = check_reachability(findings, graph, dead)
    check_joins(findings, graph, alive, dead)
    check_supply(findings, graph, alive)
    check_derived_inputs(findings)


def _graph(findings: Findings) -> Graph | None:
    try:
        return build_graph(findings.workflow)
    except LoopUnlimited as error:
        _report_loops(findings, error.cycles)
    return None


def _report_loops(findings: Findings, cycles: Iterable[tuple[str, ...]]) -> None:
    number = {stage.id: index for index, stage in enumerate(findings.workflow.stages)}
    for cycle in cycles:
        source = number[cycle[-1]]
        edges = findings.workflow.stages[source].next
        position = next((at for at, edge in enumerate(edges) if edge.to == cycle[0]), None)
        path = ("stages", source) if position is None else ("stages", source, "next", position)
        way = " -> ".join((*cycle, cycle[0]))
        findings.add(path, f"this is a loop without a limit: {way}", f"write {{to: {cycle[0]}, max_times: 3}}")
