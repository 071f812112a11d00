"""Which ways a stage takes when it has ended: conditions over inputs, artifacts, result and error, and their limits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from services.definitions.branch import Branch
from services.definitions.expression import ExpressionFailed, compile_expression
from services.orchestrator.definition import Level
from services.orchestrator.flow import Flow
from services.orchestrator.run import Run
from services.records.content import Artifact


class NoWay(Exception):
    """A stage has edges of which none holds, or a condition that cannot be judged; the message is a sentence."""


class Scope(NamedTuple):
    """What the conditions of one stage are judged over."""

    flow: Run | Flow
    level: Level
    now_ms: int
    result: Any = None
    error: Mapping[str, Any] | None = None
    written: tuple[Artifact, ...] = ()  # what it wrote itself, which the flow does not have yet

    def variables(self) -> dict[str, Any]:
        artifacts = self.flow.artifacts.update(self.level.named_within(self.written))
        return {
            "inputs": Inputs({artifact.name: artifact for artifact in self.flow.inputs}),
            "artifacts": Artifacts(artifacts),
            "result": self.result,
            "error": self.error,
        }


class Inputs(Mapping[str, Any]):
    """The inputs of the run as values, each read when it is asked for."""

    def __init__(self, artifacts: Mapping[str, Artifact]) -> None:
        self._artifacts = artifacts

    def __getitem__(self, name: str) -> Any:
        artifact = self._artifacts[name]
        if artifact.inline is None:
            return describe(artifact)
        text = artifact.inline.decode(errors="replace")
        if artifact.media_type.partition(";")[0] != "application/json":
            return text
        try:
            return json.loads(text)
        except ValueError:
            return text

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._artifacts))

    def __len__(self) -> int:
        return len(self._artifacts)


class Artifacts(Mapping[str, Any]):
    """The newest version of each artifact: what it is, not what it holds."""

    def __init__(self, artifacts: Mapping[str, Artifact]) -> None:
        self._artifacts = artifacts

    def __getitem__(self, name: str) -> Any:
        return describe(self._artifacts[name])

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._artifacts))

    def __len__(self) -> int:
        return len(self._artifacts)


def describe(artifact: Artifact) -> dict[str, Any]:
    """An artifact as conditions see it."""
    return {
        "version": artifact.version,
        "sha256": artifact.digest.removeprefix("sha256:"),
        "size": artifact.size,
        "media_type": artifact.media_type,
    }


def ways_on(scope: Scope, number: int) -> list[Branch]:
    """The branches that a stage takes which ended well; raises NoWay if it has some and none holds."""
    stage, branches, reject = (
        scope.level.graph.stages[number],
        scope.level.graph.out[number],
        scope.level.graph.reject[number],
    )
    rejected = stage.kind == "review" and isinstance(scope.result, dict) and not scope.result.get("approved")
    if rejected:
        if reject is not None and not is_used_up(scope, reject):
            return [reject]
        # What is said without a condition is meant for the approved.
        branches = tuple(b for b in branches if b.when is not None or b.otherwise)
    elif not branches:
        return []
    taken = _choose(scope, branches, first=stage.choose == "first")
    if not taken:
        raise NoWay(_explain(scope, number, rejected))
    return taken


def ways_out(scope: Scope, number: int) -> list[Branch]:
    """The route that a stage takes which failed: the first that holds; raises NoWay if none does."""
    taken = _choose(scope, scope.level.graph.routes[number], first=True)
    if not taken:
        raise NoWay(f"no route of `{scope.level.graph.stages[number].id}` holds for its error")
    return taken


def _choose(scope: Scope, branches: Iterable[Branch], *, first: bool) -> list[Branch]:
    variables: Mapping[str, Any] | None = None  # made once they are wanted
    taken: list[Branch] = []
    others: list[Branch] = []
    for branch in branches:
        if is_used_up(scope, branch):
            continue
        if branch.otherwise:
            others.append(branch)
            continue
        if branch.when is not None:
            variables = variables or scope.variables()
            if not _holds(branch.when, variables):
                continue
        taken.append(branch)
        if first:
            break
    return taken or others[:1]


def _holds(text: str, variables: Mapping[str, Any]) -> bool:
    try:
        return compile_expression(text).holds(variables)
    except ExpressionFailed as error:
        raise NoWay(str(error)) from error


def is_used_up(scope: Scope, branch: Branch) -> bool:
    """Whether a branch was taken as often as it may be, or its target began too long ago."""
    if branch.times_max is not None:
        state = scope.flow.game.branches.get(branch.index)
        if (state.taken if state else 0) >= branch.times_max:
            return True
    if branch.time_ms_max is None:
        return False
    target = scope.flow.game.stages.get(scope.level.graph.stages[branch.target].id)
    return target is not None and target.began_ms > 0 and scope.now_ms - target.began_ms > branch.time_ms_max


def _explain(scope: Scope, number: int, rejected: bool) -> str:
    name = scope.level.graph.stages[number].id
    ways = list(scope.level.graph.out[number])
    if rejected and (reject := scope.level.graph.reject[number]):
        ways.insert(0, reject)
    said = []
    for branch in ways:
        target = scope.level.graph.stages[branch.target].id
        if is_used_up(scope, branch):
            said.append(f"the way to `{target}` is used up")
        elif branch.when is not None:
            said.append(f"`{branch.when}` does not hold for `{target}`")
    verdict = "was rejected and no way leads on" if rejected else "has edges of which none holds"
    return f"`{name}` {verdict}" + (f": {', '.join(said)}" if said else "")
