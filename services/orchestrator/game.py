"""Where the tokens of a run stand, and what facts change in it; needs neither the definition nor the rules."""

from __future__ import annotations

from typing import NamedTuple

from immutables import Map

from services.records.token import Moves


class BranchState(NamedTuple):
    """A forward branch: whether its token is still to come, the tokens that wait, and how often it was taken."""

    owes: bool = True
    queue: str = ""
    taken: int = 0


class JoinState(NamedTuple):
    """The round of a join, by the first tokens of its branches."""

    arrived: int = 0
    taken: int = 0
    void: int = 0
    begun: bool = False


class LoopState(NamedTuple):
    """A loop: executions under way in it, branches into it that still owe, and whether it let its skips go."""

    open: int
    owing: int
    closed: bool = False


class StageState(NamedTuple):
    """A stage: its executions so far, skipped ones too, and those under way."""

    executions: int = 0
    open: tuple[int, ...] = ()
    attempts: int = 0  # over all executions
    completed: int = 0
    began_ms: int = 0  # when it first did


NEVER = StageState()
"""A stage that nothing has happened to."""


class Game(NamedTuple):
    """Where the tokens of a run stand. Branches, joins and loops that were never touched are left out."""

    branches: Map[int, BranchState] = Map()
    joins: Map[int, JoinState] = Map()
    loops: Map[int, LoopState] = Map()
    stages: Map[str, StageState] = Map()  # by id


def applied(game: Game, moves: Moves) -> Game:
    """The game after these moves. Stages are not among them: each fact on an execution speaks for itself."""
    branches, joins, loops = game.branches, game.joins, game.loops
    for branch in moves.branches:
        branches = branches.set(branch.edge, BranchState(branch.owes, branch.queue, branch.taken))
    for join in moves.joins:
        joins = joins.set(join.stage, JoinState(join.arrived, join.taken, join.void, join.begun))
    for loop in moves.loops:
        loops = loops.set(loop.loop, LoopState(loop.open, loop.owing, loop.closed))
    return Game(branches, joins, loops, game.stages)


def begun(game: Game, stage: str, execution: int, time_ms: int = 0, attempts: int = 0) -> Game:
    """The game after an execution began, with so many attempts asked for."""
    old = game.stages.get(stage, NEVER)
    new = StageState(
        max(old.executions, execution),
        (*old.open, execution),
        old.attempts + attempts,
        old.completed,
        old.began_ms or time_ms,
    )
    return Game(game.branches, game.joins, game.loops, game.stages.set(stage, new))


def attempted(game: Game, stage: str) -> Game:
    """The game after a further attempt at an execution under way."""
    old = game.stages[stage]
    new = old._replace(attempts=old.attempts + 1)
    return Game(game.branches, game.joins, game.loops, game.stages.set(stage, new))


def ended(game: Game, stage: str, execution: int, *, completed: bool = False) -> Game:
    """The game after an execution ended, also one that was skipped and never began."""
    old = game.stages.get(stage, NEVER)
    new = StageState(
        max(old.executions, execution),
        without(old.open, execution),
        old.attempts,
        old.completed + completed,
        old.began_ms,
    )
    return Game(game.branches, game.joins, game.loops, game.stages.set(stage, new))


def without(open_: tuple[int, ...], execution: int) -> tuple[int, ...]:
    """What is under way, but for this execution."""
    return () if open_ == (execution,) else tuple([number for number in open_ if number != execution])
