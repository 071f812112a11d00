"""What a fork takes over of an old run: its state, cut in parts that fit into facts, and what is asked for anew.

All that had ended stands as it ended. What was under way begins anew, but a map or a subflow goes on from where it was
with those of its parts that had not ended. What was being cancelled is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from bus.record import Value
from services.definitions.graph import Graph
from services.orchestrator.definition import Definition
from services.orchestrator.flow import Flow, key_of
from services.orchestrator.game import Game, StageState
from services.orchestrator.run import CANCELLED, DUE, WAITING, WORKING, Execution, Run, task_id_of
from services.orchestrator.tokens import branch_move, join_move, loop_move
from services.records import fork
from services.records.content import Artifact
from services.records.task import Items
from services.records.token import Due, Moves

PART_BYTES_MAX = 40 * 1024
"""A part is full at so many bytes, by a rough estimate; a single piece may have more."""

PIECES_MAX = 400
"""Or with so many pieces."""

MOVES_MAX = 100
"""Branches, joins or loops in one piece."""


class Piece(NamedTuple):
    """One entry of a field of a part."""

    field: str
    value: Value


class Legacy:
    """An old run at the point of a fork, seen from the run that takes it over."""

    def __init__(self, old: Run, old_definition: Definition, new: Run, new_definition: Definition) -> None:
        self.old, self.new = old, new
        self._old_levels, self._new_levels = old_definition.levels, new_definition.levels
        self._is_same = old.definition == new.definition
        origin = new.fork
        self._shift_ms = origin.shift_ms if origin else 0
        executions = sorted(old.open.values(), key=lambda e: (e.stage.count("/"), e.item >= 0, e.order))
        self._gone = {e.task_id for e in executions if _is_leaving(old, e)}
        kept = [e for e in executions if e.task_id not in self._gone]
        self._split = [e for e in kept if e.parts is not None]
        self.anew = sorted((e for e in kept if e.parts is None), key=_turn_of)
        # These attempts do not count, since they are asked for once more.
        self._asked_anew = Counter(e.stage for e in self.anew if e.status == WORKING)

    def parts(self) -> Iterator[fork.StateReused]:
        """All parts, in their order."""
        pieces: list[Piece] = []
        size, part = 0, 0
        for piece in self._pieces():
            if pieces and (size > PART_BYTES_MAX or len(pieces) >= PIECES_MAX or _is_out_of_order(pieces[-1], piece)):
                yield self._part(pieces, part)
                pieces, size, part = [], 0, part + 1
            pieces.append(piece)
            size += _size_of(piece.value)
        yield self._part(pieces, part, is_last=True)

    def _part(self, pieces: list[Piece], part: int, *, is_last: bool = False) -> fork.StateReused:
        fields: dict[str, list[Value]] = {}
        for piece in pieces:
            fields.setdefault(piece.field, []).append(piece.value)
        more: dict[str, Any] = {name: tuple(values) for name, values in fields.items()}
        new = self.new
        return fork.StateReused(workspace_id=new.workspace_id, run_id=new.run_id, part=part, is_last=is_last, **more)

    def _pieces(self) -> Iterator[Piece]:
        yield from self._of_games([("", -1, self.old.game)])
        yield from (Piece("artifacts", fork.ReusedArtifact(artifact=each)) for each in self.artifacts())
        depths = sorted({e.stage.count("/") for e in self._split})
        for depth in depths:
            split = [e for e in self._split if e.stage.count("/") == depth]
            yield from (Piece("parts", _parts_piece(e)) for e in split)
            yield from (piece for e in split for piece in _item_pieces(e))
            flows = [(e, self.old.inner.flows.get(key_of(e.stage, e.item))) for e in split]
            yield from (Piece("flows", _flow_piece(e, flow)) for e, flow in flows if flow)
            yield from self._of_games([(flow.path, flow.item, flow.game) for _, flow in flows if flow])
            yield from (piece for _, flow in flows if flow for piece in _artifact_pieces(flow))
        yield from self._counts()
        yield from (Piece("due", each) for each in self._due())

    def artifacts(self) -> list[Artifact]:
        """The newest versions that stand, by name; not those that a changed input replaces."""
        kept = {artifact.name: artifact for artifact in self.old.inputs}
        replaced = {artifact.name for artifact in self.new.inputs if kept.get(artifact.name) != artifact}
        return [each for name, each in sorted(self.old.artifacts.items()) if name not in replaced]

    # Games.

    def _of_games(self, games: list[tuple[str, int, Game]]) -> Iterator[Piece]:
        for path, item, game in games:
            yield from (Piece("stages", self._stage(path, item, *entry)) for entry in sorted(game.stages.items()))
        for path, item, game in games:
            for moves in self._moves(path, game):
                yield Piece("moves", fork.ReusedMoves(path=path, item=item, moves=moves))

    def _stage(self, path: str, item: int, name: str, state: StageState) -> fork.ReusedStage:
        return fork.ReusedStage(
            stage=name,
            item=item,
            executions=state.executions,
            attempts=state.attempts - (0 if path else self._asked_anew[name]),
            completed=state.completed,
            began_ms=state.began_ms + self._shift_ms if state.began_ms else 0,
        )

    def _moves(self, path: str, game: Game) -> Iterator[Moves]:
        if not game.branches and not game.joins and not game.loops:
            return
        numbers = Numbers(self._old_levels[path].graph, self._new_levels[path].graph, is_same=self._is_same)
        branches = [branch_move(numbers.branch(n), state) for n, state in sorted(game.branches.items())]
        joins = [join_move(numbers.stage(n), state) for n, state in sorted(game.joins.items())]
        loops = [loop_move(numbers.loop(n), state) for n, state in sorted(game.loops.items())]
        for at in range(0, len(branches), MOVES_MAX):
            yield Moves(branches=tuple(branches[at : at + MOVES_MAX]))
        for at in range(0, len(joins), MOVES_MAX):
            yield Moves(joins=tuple(joins[at : at + MOVES_MAX]))
        if loops:
            yield Moves(loops=tuple(loops))

    def _counts(self) -> Iterator[Piece]:
        inner = self.old.inner
        for name, count in sorted(inner.attempts.items()):
            kept = count - self._asked_anew[name]
            yield Piece("counts", fork.ReusedCount(kind="attempts", name=name, count=kept))
        for name, count in sorted(inner.versions.items()):
            yield Piece("counts", fork.ReusedCount(kind="versions", name=name, count=count))
        for key, stages in sorted(inner.past.items()):
            for name, state in sorted(stages.items()):
                yield Piece("past", fork.ReusedPast(key=key, stage=name, executions=state.executions))

    # What is to be done.

    def _due(self) -> Iterator[Due]:
        """What was under way begins anew, those first that were further; then what was due already."""
        for each in self.anew:
            if each.status != DUE:
                yield Due(stage=each.stage, execution=each.number, item=each.item, what="begin")
        for due in self.old.due[self.old.said :]:
            if due.what != "resume" and not self._is_gone(due):
                yield due

    def _is_gone(self, due: Due) -> bool:
        old = self.old
        if task_id_of(old.run_id, due.stage, due.execution, due.item) in self._gone:
            return True
        flow = old.flow(due.stage, due.item)
        owner = old.open.get(flow.owner) if isinstance(flow, Flow) else None
        return owner is not None and (owner.task_id in self._gone or _is_stopped(owner))


class Numbers:
    """The numbers that a changed definition gives to what an old one had; what it lacks was refused before."""

    def __init__(self, old: Graph, new: Graph, *, is_same: bool) -> None:
        self._old, self._new, self._is_same = old, new, is_same
        self._branches = {} if is_same else dict(zip(names_of(new), range(len(new.branches)), strict=True))
        self._names = [] if is_same else names_of(old)

    def branch(self, index: int) -> int:
        return index if self._is_same else self._branches[self._names[index]]

    def stage(self, number: int) -> int:
        return number if self._is_same else self._new.number[self._old.stages[number].id]

    def loop(self, index: int) -> int:
        return index if self._is_same else self._new.loop_of[self.stage(self._old.loops[index].stages[0])]


def names_of(graph: Graph) -> list[tuple[str, str, str, int]]:
    """What names each branch, whatever stands around it: from, to, kind, and which of those."""
    counts: dict[tuple[str, str, str], int] = {}
    names: list[tuple[str, str, str, int]] = []
    for branch in graph.branches:
        name = (graph.stages[branch.source].id, graph.stages[branch.target].id, branch.kind)
        counts[name] = counts.get(name, -1) + 1
        names.append((*name, counts[name]))
    return names


def _turn_of(execution: Execution) -> tuple[bool, int]:
    """Those that waited for a mutex come after those that may have held it."""
    return execution.status == WAITING and execution.waits_for.startswith("mutex:"), execution.order


def _is_leaving(run: Run, execution: Execution) -> bool:
    if execution.status == CANCELLED:
        return True
    return any(owner.status == CANCELLED or _is_stopped(owner) for owner in run.owners_of(execution))


def _is_stopped(execution: Execution) -> bool:
    return execution.parts is not None and execution.parts.stop is not None


def _parts_piece(execution: Execution) -> fork.ReusedParts:
    parts = execution.parts
    assert parts is not None
    items, stop = parts.items or Items.model_construct(over=None, count=-1, parallel_max=0, collect=False), parts.stop
    return fork.ReusedParts(
        stage=execution.stage,
        execution=execution.number,
        item=execution.item,
        mutexes=execution.mutexes,
        over=items.over,
        count=items.count,
        parallel_max=items.parallel_max,
        collect=items.collect,
        begun=parts.begun,
        completed=parts.completed,
        status=stop.status if stop else "",
        code=stop.code if stop else "",
        reason=stop.reason if stop else "",
    )


def _item_pieces(execution: Execution) -> Iterator[Piece]:
    parts = execution.parts
    assert parts is not None
    for item, given in sorted(parts.given.items()):
        reused = fork.ReusedItem(
            stage=execution.stage, execution=execution.number, item=item, result=given.result, outputs=given.outputs
        )
        yield Piece("items", reused)


def _artifact_pieces(flow: Flow) -> Iterator[Piece]:
    for _, artifact in sorted(flow.artifacts.items()):
        yield Piece("artifacts", fork.ReusedArtifact(path=flow.path, item=flow.item, artifact=artifact))


def _flow_piece(execution: Execution, flow: Flow) -> fork.ReusedFlow:
    return fork.ReusedFlow(path=flow.path, item=flow.item, execution=execution.number, inputs=flow.inputs)


_FIELDS = tuple(fork.StateReused.model_fields)


def _is_out_of_order(before: Piece, after: Piece) -> bool:
    return _FIELDS.index(after.field) < _FIELDS.index(before.field)


def _size_of(value: Value) -> int:
    """Bytes, by a rough estimate."""
    if isinstance(value, fork.ReusedArtifact):
        return _content_size([value.artifact])
    if isinstance(value, fork.ReusedItem):
        return 50 + len(value.result) + _content_size(value.outputs)
    if isinstance(value, fork.ReusedFlow):
        return 50 + _content_size(value.inputs)
    if isinstance(value, fork.ReusedMoves):
        return 40 * MOVES_MAX
    return 100 + len(value.detail) if isinstance(value, Due) else 100


def _content_size(artifacts: Iterable[Artifact]) -> int:
    return sum(200 + len(artifact.inline or b"") for artifact in artifacts)
