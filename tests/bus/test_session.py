"""A session hears in order, decides at once, acts on what it reads back, and halts or is lost rather than guess."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from bus.blob_cache import BlobCache
from bus.channel import Partition, Position
from bus.clock import ManualClock
from bus.codec import Codec, Peek
from bus.decider import Draft, Role
from bus.errors import AppendUnknown, Undecodable
from bus.ledger import Ledger
from bus.log import Raw, Stored
from bus.outbox import PENDING_RECORDS_MAX
from bus.reader import START
from bus.record import DeadlineReached, Envelope, Origin, PostAcknowledged, Record
from bus.session import Ports, Session
from bus.testing import envelope
from tests.bus.bank import CLERK, HOMES, LANGUAGE, SAFE, TELLER, Deposited, DepositRequested, Forwarded, Till
from tests.simulation.bank import silence
from tests.simulation.schedule_owner import Pending

CODEC = Codec(LANGUAGE)


class Contents(BlobCache):
    """Has what a test gives it, at once."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes | None] = {}
        self.durable = False

    def now(self, digests: Any) -> Any:
        wanted = tuple(digests)
        return {d: self.contents[d] for d in wanted} if all(d in self.contents for d in wanted) else None

    def keep(self, contents: Any) -> bool:
        return self.durable


class Case:
    """A session of a role on partition 0, its wire, and the log that its batches land in."""

    def __init__(self, role: Role[Any], state: Any = None) -> None:
        self.role, self.home = role, Partition(role.home, 0)
        self.claim = Origin("claim", role.name, "me", 1)
        self.sent: list[tuple[Partition, Sequence[Raw], Pending]] = []
        self.lost: list[str] = []
        self.clock, self.blobs = ManualClock(), Contents()
        ports = Ports(codec=CODEC, clock=self.clock, blobs=self.blobs, homes=HOMES, partitions=1)
        self.session = Session(
            role, self.home, self.claim, 0, role.initial() if state is None else state, Ledger(1), self, ports,
            lose=self.lost.append, progressed=lambda: None,
        )  # fmt: skip
        self.offset = 0
        self.heard = 100

    def append(self, partition: Partition, records: Sequence[Raw]) -> Any:
        pending = Pending()
        self.sent.append((partition, records, pending))
        return pending

    async def close(self) -> None:
        pass

    def hear(self, record: Record, record_id: str = "", **changes: Any) -> None:
        self.heard += 1
        found = envelope(record, record_id=record_id, offset=self.heard)
        self.session.hear(found._replace(**changes))

    def facts(self) -> list[tuple[str, str]]:
        """Type and cause of every fact sent home."""
        self.session.flush()
        batches = [records for partition, records, _ in self.sent if partition == self.home]
        heads = [dict(raw.headers) for records in batches for raw in records]
        return [(h["ce_type"].decode(), h["clawx"].decode().split("|", 7)[7]) for h in heads if b"fact" in h["clawx"]]

    def answer(self) -> None:
        """Whatever is on its way lands, is acknowledged, and is read back if it is home."""
        self.session.flush()
        while self.sent:
            partition, records, pending = self.sent.pop(0)
            pending.end(0)
            for raw in records if partition == self.home else ():
                self.offset += 1
                stored = Stored(self.offset, raw.key, raw.value, raw.headers, raw.time_ms)
                peek = CODEC.peek(stored)
                if peek.origin.kind == "fact":
                    self.session.read_back(stored, peek, counts=True)


def deposit(amount: int = 1, **more: Any) -> DepositRequested:
    return DepositRequested(workspace_id="w", amount=amount, **more)


def post(number: int, **origin: Any) -> dict[str, Any]:
    found = Origin("post", "bank.clerk", "s", 1, number, cause=f"event/0/{number}")
    return {"origin": found._replace(**origin)}


FORWARDED = Forwarded(workspace_id="w", account=0, amount=1, ask_id="a")


def test_it_decides_at_once_on_the_newest_state_and_confirms_what_it_reads_back() -> None:
    case = Case(TELLER)
    case.hear(deposit(1), "a")
    case.hear(deposit(2), "b")
    assert case.session.state.totals["w/0"] == 3
    assert case.session.confirmed.totals.get("w/0") is None
    case.answer()
    assert case.session.confirmed is case.session.state
    assert case.session.confirmed_at == 2


def test_what_waits_for_a_blob_keeps_its_place_before_all_that_comes_after_it() -> None:
    case = Case(TELLER)
    case.hear(deposit(1, digest="late"), "a")
    case.hear(deposit(2), "b")
    stored = Stored(200, b"", b"garbage", (), 0)
    with silence():
        case.session.quarantine_undecodable(Position("task", 0, 200), stored, Undecodable("no"))
        assert case.facts() == []
        case.blobs.contents["late"] = b"here"
        case.session.resume()
    assert case.facts() == [
        ("Deposited", "task/0/101"),
        ("Deposited", "task/0/102"),
        ("InputQuarantined", "task/0/200"),
    ]


def test_while_anything_waits_nothing_is_noted_as_heard() -> None:
    case = Case(TELLER)
    case.session.go_live()
    case.hear(deposit(1, digest="late"), "a")
    case.session.note_heard(lambda: {"task": START}, least=1)
    assert not case.facts()
    case.blobs.contents["late"] = b"here"
    case.session.resume()
    case.session.note_heard(lambda: {"task": START}, least=1)
    assert [kind for kind, _ in case.facts()] == ["Deposited", "Heard"]


def test_a_decision_waits_until_what_it_made_is_durable() -> None:
    case = Case(TELLER)
    case.hear(deposit(1, wants_receipt=True), "a")
    case.hear(deposit(2), "b")
    assert not case.facts()
    case.blobs.durable = True
    case.session.resume()
    assert [cause for _, cause in case.facts()] == ["task/0/101", "task/0/102"]


@pytest.mark.parametrize("where", ["decide", "needs"])
def test_what_it_cannot_decide_is_set_aside_and_the_rest_goes_on(where: str) -> None:
    def fail(*args: Any) -> Any:
        if args[-1].id == "bad":
            raise KeyError("\ud800 half a pair, which no encoding carries")
        return real(*args)

    real: Callable[..., Any] = getattr(TELLER, where)
    case = Case(replace(TELLER, decide=fail) if where == "decide" else replace(TELLER, needs=fail))
    with silence():
        for name in ("a", "bad", "b"):
            case.hear(deposit(), name)
    assert [kind for kind, _ in case.facts()] == ["Deposited", "InputQuarantined", "Deposited"]
    assert case.session.state.totals["w/0"] == 2


def test_posts_count_in_the_order_of_their_numbers() -> None:
    case = Case(SAFE)
    for number in (0, 2, 1, 1, 0, 2):
        case.hear(FORWARDED, f"p{number}", **post(number))
    assert [cause for kind, cause in case.facts() if kind == "Stored"] == ["event/0/101", "event/0/103", "event/0/106"]
    assert case.session.ledger.received == {("bank.clerk", 0): 3}


@pytest.mark.parametrize("origin", [{"role": "nobody"}, {"cause": "task/0/0"}, {"cause": "event/9/0"}])
def test_a_post_of_nobody_is_set_aside_and_takes_no_number(origin: dict[str, Any]) -> None:
    case = Case(SAFE)
    with silence():
        case.hear(FORWARDED, "forged", **post(0, **origin))
    case.hear(FORWARDED, "p0", **post(0))
    assert [kind for kind, _ in case.facts()] == ["InputQuarantined", "Stored", "Receipt"]


def test_an_acknowledgement_drops_what_it_names_and_nothing_of_other_senders() -> None:
    case = Case(CLERK)
    case.session.go_live()
    for name in "ab":
        case.hear(Deposited(workspace_id="w", account=0, amount=1, total=1, ask_id=name), name)
    case.answer()
    for sender, number in (("another.role", 2), ("bank.clerk", 1)):
        case.hear(
            PostAcknowledged(sender=sender, role="vault.safe", partition=0, number=number), origin=Origin("report")
        )
    assert [each.number for _, each in case.session.ledger.unacknowledged()] == [1]


def test_posts_are_sent_when_they_are_read_back_and_by_nobody_who_is_not_live() -> None:
    case = Case(CLERK)
    case.hear(Deposited(workspace_id="w", account=0, amount=1, total=1, ask_id="a"), "a")
    case.answer()
    assert not case.sent
    case.session.go_live()
    kinds = [dict(records[0].headers)["clawx"].split(b"|")[0] for _, records, _ in case.sent]
    assert kinds == [b"post"]


def own(case: Case, kind: str, session: str, epoch: int) -> Peek:
    return Peek("Claimed" if kind == "claim" else "Deposited", "x", Origin(kind, case.role.name, session, epoch), "")


@pytest.mark.parametrize(
    ("kind", "session", "counts", "lost"),
    [
        ("claim", "another", True, True),
        ("claim", "another", False, False),
        ("fact", "another", False, False),
        ("fact", "me", False, True),
    ],
)
def test_a_newer_claim_or_an_own_gap_costs_it_the_claim(kind: str, session: str, counts: bool, lost: bool) -> None:
    case = Case(TELLER)
    case.session.read_back(Stored(9, b"", b"", (), 0), own(case, kind, session, 2), counts=counts)
    assert bool(case.lost) is lost


def test_an_append_of_unknown_outcome_costs_it_the_claim() -> None:
    case = Case(TELLER)
    case.hear(deposit(), "a")
    case.session.flush()
    case.sent[0][2].end(None, AppendUnknown("no answer"))
    assert case.lost == ["an append failed: no answer"]


def test_its_time_never_goes_back() -> None:
    case = Case(TELLER)
    case.hear(deposit(), "a")
    case.clock.advance(-5_000)
    case.hear(deposit(), "b")
    case.session.flush()
    times = [raw.time_ms for raw in case.sent[0][1]]
    assert times == sorted(times)


def reminding(count: int) -> Case:
    case = Case(TELLER)
    for number in range(count):
        case.hear(deposit(remind_ms=100), f"a{number}")
        case.answer()
    case.session.go_live()
    case.answer()
    return case


def test_deadlines_act_when_it_is_live_and_never_before_their_time() -> None:
    case = reminding(1)
    due = case.session.next_deadline_ms()
    assert due == case.clock.now_ms() + 100
    case.clock.advance(99)
    case.session.wake()
    assert not case.facts()
    case.clock.advance(1)
    case.session.wake()
    assert [kind for kind, _ in case.facts()] == ["Reminded"]


def test_many_deadlines_at_once_wait_for_room_without_asking_to_be_woken() -> None:
    case = reminding(5 * PENDING_RECORDS_MAX)
    case.clock.advance(100)
    wakes = 0
    while case.session.next_deadline_ms() is not None:
        case.session.wake()
        wakes += 1
    assert wakes < 10, "it spins while the log is slow"
    while (due := case.session.next_deadline_ms()) is None or due <= case.clock.now_ms():
        assert case.sent, "it waits for room that nothing will make"
        case.answer()
        case.session.wake()
    case.answer()
    assert {reminder.round for reminder in case.session.confirmed.reminders.values()} == {1}


def test_a_deadline_waits_for_its_blob_too() -> None:
    role = replace(TELLER, needs=lambda state, heard: ("d",) if isinstance(heard.record, DeadlineReached) else ())
    case = Case(role)
    case.hear(deposit(remind_ms=100), "a")
    case.session.go_live()
    case.answer()
    case.clock.advance(100)
    case.session.wake()
    assert case.session.next_deadline_ms() is None
    case.blobs.contents["d"] = b"here"
    case.session.resume()
    assert [kind for kind, _ in case.facts()] == ["Reminded"]


def test_a_deadline_that_is_neither_moved_nor_cleared_is_an_error() -> None:
    def decide(draft: Draft[Till], heard: Envelope) -> None:
        if not isinstance(heard.record, DeadlineReached):
            TELLER.decide(draft, heard)

    case = Case(replace(TELLER, decide=decide))
    case.hear(deposit(remind_ms=1), "a")
    case.clock.advance(5)
    with pytest.raises(AssertionError, match="neither moved nor cleared"):
        case.session.go_live()
