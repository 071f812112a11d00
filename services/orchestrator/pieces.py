"""Moves that are too many for one record, in pieces of which each fits into one."""

from __future__ import annotations

from collections.abc import Iterator

from services.records.token import BranchMove, Due, JoinMove, LoopMove, Moves

Move = BranchMove | JoinMove | LoopMove | Due

FIRST_BYTES_MAX = 24 * 1024
"""Most that the fact has of them which they follow from; it has a result and outputs besides."""

PIECE_BYTES_MAX = 64 * 1024
"""Most that each further fact has of them."""

_MOVE_BYTES = 12
_DUE_BYTES = 24


def split_moves(moves: Moves) -> Iterator[Moves]:
    """The moves in their order, by a rough estimate of their size; at least one piece, which may be empty."""
    left = FIRST_BYTES_MAX
    piece: list[Move] = []
    every: tuple[Move, ...] = (*moves.branches, *moves.joins, *moves.loops, *moves.due)
    for move in every:
        size = _size_of(move)
        if size > left and piece:
            yield _gathered(piece)
            piece, left = [], PIECE_BYTES_MAX
        piece.append(move)
        left -= size
    yield _gathered(piece)


def _size_of(move: Move) -> int:
    if isinstance(move, Due):
        return _DUE_BYTES + len(move.stage) + len(move.detail)
    return _MOVE_BYTES + (len(move.queue) if isinstance(move, BranchMove) else 0)


def _gathered(piece: list[Move]) -> Moves:
    return Moves(
        branches=tuple([move for move in piece if isinstance(move, BranchMove)]),
        joins=tuple([move for move in piece if isinstance(move, JoinMove)]),
        loops=tuple([move for move in piece if isinstance(move, LoopMove)]),
        due=tuple([move for move in piece if isinstance(move, Due)]),
    )
