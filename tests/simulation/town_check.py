"""What must hold of a town once all is quiet, from its log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bus.channel import Partition
from bus.reader import START, Admission
from bus.record import Envelope, Fact
from services.orchestrator.due import next_due
from services.records.message import MessageAcknowledged, MessageExpired, MessageRefused, MessageSent
from services.records.schedule import (
    ScheduleChanged,
    ScheduleCreated,
    ScheduledRunRequested,
    ScheduledRunSkipped,
    Timetable,
)
from services.records.task import RunEnded, RunStarted
from tests.simulation.town_world import CODEC, SERVICES, TownWorld


def admitted(world: TownWorld) -> list[Envelope]:
    """All facts of the town's roles that count, in order within each partition."""
    found, names = [], {role.name for roles in SERVICES.values() for role in roles}
    for partition, records in sorted(world.storage.records.items()):
        for stored, peek, counts in Admission(CODEC, START).admit(records):
            if counts and getattr(peek, "origin", None) and peek.origin.kind == "fact" and peek.origin.role in names:
                found.append(CODEC.decode(stored, peek, partition))
    return found


def problems(world: TownWorld) -> Iterator[str]:
    """Nothing if all is well."""
    said = [each for each in admitted(world) if isinstance(each.record, Fact)]
    ids = Counter(each.id for each in said)
    yield from (f"I11: {name} was made {count} times" for name, count in sorted(ids.items()) if count > 1)
    yield from _messages(world, said)
    yield from _schedules(said)
    yield from _states(world, said)
    for processes in world.processes.values():
        yield from (failure for process in processes if (failure := process.failure()))


def _messages(world: TownWorld, said: list[Envelope]) -> Iterator[str]:
    """Each is sent or refused once, and what is sent ends once; nothing is sent when its time is over."""
    rounds = [each for each in said if isinstance(each.record, MessageSent)]
    for each in rounds:
        if each.time_ms >= each.record.message.expires_at_ms:
            yield f"message {each.record.message.message_id} was sent at {each.time_ms}, when its time was over"
    begun = Counter(each.record.message.message_id for each in rounds if each.record.round == 1)
    begun.update(each.record.message_id for each in said if isinstance(each.record, MessageRefused))
    yield from _once("answered", begun, world.asked["message"])
    ends = Counter(each.record.message_id for each in said if _is_end(each.record))
    sent = [each.record.message for each in rounds]
    yield from _once("ended", ends, {each.message_id for each in sent if "person:" not in each.target_instance})


def _is_end(record: Fact) -> bool:
    return isinstance(record, MessageExpired) or (isinstance(record, MessageAcknowledged) and record.settled)


def _once(what: str, found: Counter[str], wanted: set[str]) -> Iterator[str]:
    for name in sorted(wanted | found.keys()):
        if found[name] != (name in wanted):
            yield f"message {name} was {what} {found[name]} times"


def _schedules(said: list[Envelope]) -> Iterator[str]:
    """Each time due in the life of a schedule has one fate, and each start one run that ends."""
    starts = Counter(each.record.run_id for each in said if isinstance(each.record, ScheduledRunRequested))
    runs = Counter(each.record.run_id for each in said if isinstance(each.record, RunStarted))
    ends = Counter(each.record.run_id for each in said if isinstance(each.record, RunEnded))
    for name in sorted(starts.keys() | runs.keys()):
        if (starts[name], runs[name], ends[name]) != (1, 1, 1):
            yield f"{name} was asked for {starts[name]} times, started {runs[name]} and ended {ends[name]} times"
    for number, each in enumerate(said):
        if isinstance(each.record, ScheduleCreated):
            yield from _life(each, said[number + 1 :])


def _life(made: Envelope, later: list[Envelope]) -> Iterator[str]:
    """What was said of one schedule until it was deleted. What was due in the last moment before, or is not told of
    one that is paused then, need not have a fate."""
    table, name = made.record.timetable, (made.record.workspace_id, made.record.schedule_id)
    fates: Counter[int] = Counter()
    paused_ms = 0
    for each in later:
        record = each.record
        if (getattr(record, "workspace_id", ""), getattr(record, "schedule_id", "")) != name:
            continue
        if isinstance(record, ScheduledRunRequested | ScheduledRunSkipped) and not record.ask_id:
            until_ms = record.until_ms if isinstance(record, ScheduledRunSkipped) else record.due_ms + 1
            fates.update(_dues(table, made.time_ms, record.due_ms - 1, until_ms))
        elif isinstance(record, ScheduleChanged) and record.status == "deleted":
            dues = _dues(table, made.time_ms, made.time_ms, (paused_ms or each.time_ms) - 5_000)
            wrong = [at for at in {*dues, *fates} if fates[at] > 1 or (at in dues and not fates[at])]
            yield from (f"schedule {name}: the time {at - made.time_ms} has {fates[at]} fates" for at in wrong)
            return
        elif isinstance(record, ScheduleChanged):
            paused_ms = each.time_ms if record.status == "paused" else 0
    yield f"schedule {name} was not deleted"


def _dues(table: Timetable, since_ms: int, after_ms: int, until_ms: int) -> list[int]:
    found, due_ms = [], next_due(table, since_ms, after_ms)
    while due_ms < until_ms:
        found.append(due_ms)
        due_ms = next_due(table, since_ms, due_ms)
    return found


def _states(world: TownWorld, said: list[Envelope]) -> Iterator[str]:
    """I6: what the last owners hold is what the log folds to."""
    roles = {role.name: role for group in SERVICES.values() for role in group}
    folded = {}
    for each in said:
        assert each.at is not None  # it stands on the log
        place = each.origin.role, Partition(each.at.channel, each.at.number)
        role = roles[place[0]]
        state = folded[place] if place in folded else role.initial()
        folded[place] = role.evolve(state, each.record, each.time_ms) if type(each.record) in role.says else state
    for processes in world.processes.values():
        for process in processes:
            for name, home, state, _ in process.runtime.confirmed():
                if state != folded.get((name, home), roles[name].initial()):
                    yield f"I6: {name} holds a state on {home} that the log does not fold to"
