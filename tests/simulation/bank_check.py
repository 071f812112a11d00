"""What must hold of a bank once all is quiet, from its raw log and from what was asked of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bus.channel import Partition
from tests.bus.bank import REMINDERS, UNLUCKY, DepositRequested
from tests.simulation.bank_laws import broken_laws
from tests.simulation.bank_lines import Book, Line, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the world asked for, and what of it must be refused or set aside."""

    deposits: dict[str, DepositRequested] = field(default_factory=dict)  # by the id of the ask
    missing: set[str] = field(default_factory=set)  # asks whose content the store lacks for ever
    poison: set[str] = field(default_factory=set)  # positions of what cannot be decoded or decided


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When what became durable, in seconds of the world."""

    landed_s: Mapping[Partition, Sequence[float]]
    kept_s: Mapping[str, float]  # by digest


def problems(book: Book, asked: Asked, times: Times) -> Iterator[str]:
    """Nothing if all is well."""
    lines, facts = book.lines, book.facts
    yield from _receipts(facts, asked, times)
    yield from broken_laws(lines, facts)
    yield from _deposits(facts, asked)
    yield from _coins(lines, facts)
    yield from _sums(facts)
    yield from _reminders(facts)
    yield from _posts(lines, facts)
    yield from _quarantine(lines, facts, asked)


def _deposits(facts: Sequence[Line], asked: Asked) -> Iterator[str]:
    """Each ask has exactly one end for each account, in each step."""
    wanted: Counter[tuple[str, int]] = Counter()
    for ask_id, ask in asked.deposits.items():
        if ask.amount != UNLUCKY and ask_id not in asked.missing:
            wanted.update((ask_id, account) for account in range(ask.accounts))
    for step in ("Deposited", "Forwarded", "Stored", "Receipt", "Receipted"):
        ends = Counter((f.body["ask_id"], f.body["account"]) for f in facts if f.type == step)
        for end in sorted(wanted.keys() | ends.keys()):
            if ends[end] != wanted[end]:
                yield f"I1: {end} has {ends[end]} {step}, not {wanted[end]}"
    refused = Counter(f.body["ask_id"] for f in facts if f.type == "DepositRefused")
    for ask_id in sorted(refused.keys() | asked.missing):
        if refused[ask_id] != (ask_id in asked.missing):
            yield f"I1: {ask_id} was refused {refused[ask_id]} times"


def _coins(lines: Sequence[Line], facts: Sequence[Line]) -> Iterator[str]:
    """Each coin that stands in the log is counted once, in the order of the log, although nobody knows it by an id."""
    dropped = {line.at for line in lines if line.type == "CoinDropped" and line.kind == "report"}
    counted = Counter(f.cause for f in facts if f.type == "CoinCounted")
    for at in sorted(dropped | counted.keys()):
        if counted[at] != (at in dropped):
            yield f"I1: the coin at {at} was counted {counted[at]} times"


def _sums(facts: Sequence[Line]) -> Iterator[str]:
    """Totals and numbers add up in the order of the log."""
    sums: Counter[str] = Counter()
    for fact in facts:
        match fact.type:
            case "Deposited":
                name, step, found = f"{fact.body['workspace_id']}/{fact.body['account']}", "amount", "total"
            case "Stored":
                name, step, found = f"safe {fact.body['workspace_id']}", "amount", "total"
            case "CoinCounted":
                name, step, found = f"coins {fact.body['workspace_id']}", "", "number"
            case _:
                continue
        sums[name] += fact.body[step] if step else 1
        if fact.body[found] != sums[name]:
            yield f"I6: {fact.type} at {fact.at} says {fact.body[found]} where {sums[name]} is right"


def _reminders(facts: Sequence[Line]) -> Iterator[str]:
    """Each deadline acts once, in its turn, and never before its time."""
    due: dict[str, int] = {}
    every: dict[str, int] = {}
    rounds: Counter[str] = Counter()
    for fact in facts:
        ask_id = fact.body.get("ask_id", "")
        if fact.type == "Deposited" and fact.body["remind_ms"] and not fact.body["account"]:
            every[ask_id] = fact.body["remind_ms"]
            due[ask_id] = fact.time_ms + every[ask_id]
        elif fact.type == "Reminded":
            rounds[ask_id] += 1
            if fact.body["round"] != rounds[ask_id]:
                yield f"I10: round {fact.body['round']} of {ask_id} at {fact.at} is its number {rounds[ask_id]}"
            if fact.time_ms < due.get(ask_id, 0):
                yield f"I10: deadline {ask_id} acted before its time at {fact.at}"
            if ask_id not in every:
                yield f"I10: deadline {ask_id}, which was never set, acted at {fact.at}"
            due[ask_id] = fact.time_ms + every.get(ask_id, 0)
    yield from (f"I10: {name} was reminded of {rounds[name]} times" for name in every if rounds[name] != REMINDERS)


def _posts(lines: Sequence[Line], facts: Sequence[Line]) -> Iterator[str]:
    """Posts that count were delivered, and acted on once, in the order of their facts; nothing else ever was."""
    homes = {fact.at: fact for fact in facts if fact.type in ("Forwarded", "Receipt")}
    posts = {line.at: line for line in lines if line.kind == "post" and line.session}
    for line in posts.values():
        if line.cause not in homes:
            yield f"I16: a post at {line.at} of a fact that does not count: {line.cause}"
    delivered = {post.cause for post in posts.values()}
    yield from (f"I1: the post of {at} was never delivered" for at in homes.keys() - delivered)
    acted: dict[tuple[Place, Place], list[int]] = defaultdict(list)
    for fact in facts:
        if fact.part == 0 and (post := posts.get(fact.cause)) and post.cause in homes:
            acted[homes[post.cause].place, fact.place].append(homes[post.cause].offset)
    for (sender, addressee), offsets in acted.items():
        if len(set(offsets)) != len(offsets):
            yield f"I2: {addressee} acted on a post of {sender} twice"
        if offsets != sorted(offsets):
            yield f"I4: {addressee} acted on the posts of {sender} in another order"


def _receipts(facts: Sequence[Line], asked: Asked, times: Times) -> Iterator[str]:
    """What a fact names was durable before the fact was."""
    for fact in facts:
        if fact.type == "Deposited":
            receipt = fact.body["receipt"]
            ask = asked.deposits.get(fact.body["ask_id"])
            if ask and bool(receipt) != ask.wants_receipt:
                yield f"I16: {fact.at} has {receipt or 'no receipt'}"
            landed_s = times.landed_s[fact.partition][fact.offset]
            if receipt and times.kept_s.get(receipt, landed_s + 1) > landed_s:
                yield f"I16: {fact.at} names {receipt} before that is durable"


def _quarantine(lines: Sequence[Line], facts: Sequence[Line], asked: Asked) -> Iterator[str]:
    """What can be neither decoded nor decided is set aside once, and nothing else is."""
    asks = (line for line in lines if line.type == "DepositRequested" and line.kind == "ask")
    expected = {ask.at for ask in asks if ask.body.get("amount") == UNLUCKY} | asked.poison
    found = Counter(f.body["input"] for f in facts if f.type == "InputQuarantined")
    for at in sorted(expected | found.keys()):
        if found[at] != (at in expected):
            yield f"I15: {at} was quarantined {found[at]} times"


def counts(facts: Sequence[Line]) -> Mapping[str, int]:
    """How often each type was said: a world in which nothing happened proves nothing."""
    return Counter(fact.type for fact in facts)
