"""The ledger: who folds the same facts comes to the same numbers, and posts are open until they are acknowledged."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as some

from bus.channel import Partition, Position, partition_number
from bus.fence import Fence
from bus.ledger import Ledger, Post, addressed
from bus.reader import Place
from bus.record import Heard, PostCount
from tests.bus.bank import HOMES, Deposited, Forwarded

PARTITIONS = 4
WORKSPACES = some.sampled_from(["a", "b", "c", "d", "e"])
SAFE = "vault.safe"


def forwarded(workspace: str) -> Forwarded:
    return Forwarded(workspace_id=workspace, account=0, amount=1, ask_id="x")


def note(ledger: Ledger, workspaces: list[str]) -> list[Post]:
    posts = []
    for offset, workspace in enumerate(workspaces):
        post = ledger.note(forwarded(workspace), f"id-{offset}", Position("event", 0, offset), "trace")
        assert post is not None
        posts.append(post)
    return posts


def peer(workspace: str) -> tuple[str, int]:
    return SAFE, partition_number(f"safe:{workspace}", PARTITIONS)


@given(some.lists(WORKSPACES, max_size=30))
def test_posts_are_numbered_densely_for_each_addressee(workspaces: list[str]) -> None:
    ledger = Ledger(PARTITIONS)
    numbers: dict[tuple[str, int], list[int]] = {}
    for workspace, post in zip(workspaces, note(ledger, workspaces), strict=True):
        numbers.setdefault(peer(workspace), []).append(post.number)
        assert addressed(post, HOMES, PARTITIONS) == Partition("event", peer(workspace)[1])
    assert all(found == list(range(len(found))) for found in numbers.values())


@given(some.lists(WORKSPACES, max_size=30), some.lists(some.tuples(WORKSPACES, some.integers(0, 40)), max_size=10))
def test_posts_are_open_until_they_are_acknowledged(workspaces: list[str], acks: list[tuple[str, int]]) -> None:
    ledger = Ledger(PARTITIONS)
    posts = note(ledger, workspaces)
    below: dict[tuple[str, int], int] = {}
    for workspace, number in acks:
        ledger.acknowledge(peer(workspace), number)
        if number <= sum(peer(each) == peer(workspace) for each in workspaces):  # else it is nobody's to decide
            below[peer(workspace)] = max(below.get(peer(workspace), 0), number)
    expected = [
        (peer(workspace), post)
        for workspace, post in zip(workspaces, posts, strict=True)
        if post.number >= below.get(peer(workspace), 0)
    ]
    found = list(ledger.unacknowledged())
    assert sorted(found, key=lambda pair: pair[1].at) == expected
    for addressee in {address for address, _ in found}:
        numbers = [post.number for address, post in found if address == addressee]
        assert numbers == sorted(numbers)


@given(some.lists(some.integers(0, 6), max_size=30))
def test_posts_are_received_in_the_order_of_their_numbers(numbers: list[int]) -> None:
    ledger = Ledger(PARTITIONS)
    taken = [number for number in numbers if ledger.receive(("bank.clerk", 1), number)]
    assert taken == list(range(len(taken)))
    assert ledger.received.get(("bank.clerk", 1), 0) == len(taken)


def test_the_last_cause_of_each_channel_never_goes_back() -> None:
    ledger = Ledger(PARTITIONS)
    for cause in ("task/0/5", "event/0/2", "task/0/3", "deadline:x@1", ""):
        ledger.note_cause(cause)
    assert ledger.last == {"task": 5, "event": 2}


def test_what_is_no_post_is_none() -> None:
    fact = Deposited(workspace_id="w", account=0, amount=1, total=1, ask_id="x")
    assert Ledger(PARTITIONS).note(fact, "id", Position("task", 0, 0), "trace") is None


def facts(ledger: Ledger) -> Iterator[object]:
    yield from (ledger.inputs, ledger.received, ledger.acknowledged, list(ledger.unacknowledged()), ledger._numbers)


@given(some.lists(WORKSPACES, max_size=20), some.lists(WORKSPACES, max_size=20), some.integers(0, 5))
def test_a_new_owner_comes_to_the_ledger_that_the_old_one_noted(before: list[str], after: list[str], ack: int) -> None:
    """The old one lives through posts, acknowledgements and posts received; the new one folds its facts."""
    old, new = Ledger(PARTITIONS), Ledger(PARTITIONS)
    note(old, before)
    note(new, before)
    for workspace in set(before):
        old.acknowledge(peer(workspace), ack)
    for number in range(ack):
        old.receive(("bank.clerk", 2), number)
    places = {"event": Place(7, {"bank.clerk": Fence("s", 2, 3)}), "task": Place(0, {})}
    old.inputs = places
    heard = old.heard(places)
    assert isinstance(heard, Heard)
    new.note(heard, "id", Position("event", 0, 99), "trace")
    note(old, after)
    note(new, after)
    assert list(facts(new)) == list(facts(old))


def test_heard_replaces_what_was_received_and_keeps_later_acknowledgements() -> None:
    ledger = Ledger(PARTITIONS)
    note(ledger, ["a"] * 6)
    ledger.acknowledge(peer("a"), 5)
    count = PostCount(role=SAFE, partition=peer("a")[1], number=3)
    ledger.note(Heard(acknowledged=(count,)), "id", Position("t", 0, 0), "t")
    assert ledger.acknowledged == {peer("a"): 5}


def test_nobody_acknowledges_what_was_not_sent() -> None:
    """Anybody who may write the topic can append such words."""
    ledger = Ledger(PARTITIONS)
    note(ledger, ["a"])
    for addressee, number in ((peer("a"), 2**60), (peer("a"), -1), ((SAFE, 2**31), 1), (("nobody", 0), 1)):
        ledger.acknowledge(addressee, number)
    assert ledger.acknowledged == {}
    assert len(list(ledger.unacknowledged())) == 1
