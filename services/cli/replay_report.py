"""What a replay prints: differences as they are found, decisions as they pass, and the sum of it."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

from services.audit.rehearsal import Outcome, Rehearsal, Scope, describe, describe_outcome, describe_said, describe_step
from services.audit.summary import summarise
from services.cli.terminal import print_json, print_line, say_time, tell

if TYPE_CHECKING:
    from bus.decision import Said
    from bus.difference import Difference
    from bus.replay import Replay, Step

WAIT_S_MAX = 3600.0
"""Longest time that a replay at a given speed waits for the next decision."""


def print_difference(difference: Difference, as_json: bool) -> None:
    """One place where today's code would say something else."""
    if as_json:
        print_json(describe(difference))
        return
    home = difference.home
    print_line(f"{home}/{difference.offset}  {difference.role}  {difference.kind}  {say_time(difference.time_ms)}")
    print_line(f"  {difference.reason}")
    if difference.cause:
        print_line(f"  cause {difference.cause}")
    for digest in difference.lacking:
        print_line(f"  the blob store lacks {digest}")
    for sign, facts in (("-", difference.expected), ("+", difference.decided)):
        for said in facts:
            print_line(f"  {sign} {_line(said)}")


def _line(said: Said) -> str:
    return f"{said.type} {said.id} {json.dumps(said.fact.model_dump(mode='json'), ensure_ascii=False)}"


def print_outcome(outcome: Outcome, as_json: bool) -> None:
    """What was replayed, and how much of it would be different."""
    if as_json:
        print_json(describe_outcome(outcome))
        return
    passed = (
        f"{outcome.decisions} decisions taken again ({outcome.facts} facts), {outcome.silent} inputs led to nothing"
    )
    unheard = f", {outcome.unheard} were not heard yet" if outcome.unheard else ""
    tell(f"{passed}{unheard}")
    speaking = f"; {outcome.speaking} inputs would lead to facts that led to none" if outcome.speaking else ""
    tell(f"{outcome.differing or 'none'} would be different{speaking}")


async def walk(rehearsal: Rehearsal, scope: Scope, *, step: bool, speed: float | None, as_json: bool) -> None:
    """Show each decision of all roles in the order of time, at a speed or whenever Enter is pressed."""
    before_ms = 0
    async for replay, each in rehearsal.walk(scope):
        if speed is not None and before_ms:
            await asyncio.sleep(min(max(0, each.decision.time_ms - before_ms) / 1000 / speed, WAIT_S_MAX))
        before_ms = each.decision.time_ms
        if as_json:
            print_json(describe_step(replay, each, describe_said))
        else:
            _print_step(replay, each)
        if step and not await asyncio.to_thread(sys.stdin.readline):
            return


def _print_step(replay: Replay, step: Step) -> None:
    decision = step.decision
    at = f"{replay.home}/{decision.offset}"
    because = f"  because of {decision.cause}" if decision.cause else ""
    print_line(f"{say_time(decision.time_ms)}  {at}  {replay.role.name}{because}")
    for said in decision.facts:
        print_line(f"    {said.type}  {summarise(said.fact)}")
    for difference in step.differences:
        print_difference(difference, as_json=False)
