"""Whatever does not count on a partition is found, and said why; a gap once."""

from bus.channel import Partition
from bus.log import Stored
from bus.record import Claimed, Origin
from services.audit.sequence import Sequence
from services.records import language_codec
from services.records.task import RunEnded

CODEC = language_codec()
ROLE = "orchestrator.runs"


class Writer:
    """Writes records of sessions, true and false ones."""

    def __init__(self) -> None:
        self.records: list[Stored] = []

    def claim(self, session: str, epoch: int) -> None:
        origin = Origin("claim", ROLE, session, epoch)
        self._put(Claimed(role=ROLE, session=session, epoch=epoch), origin)

    def say(self, session: str, epoch: int, *numbers: int) -> None:
        for seq in numbers:
            fact = RunEnded(workspace_id="w", run_id="r", status="completed")
            self._put(fact, Origin("fact", ROLE, session, epoch, seq))

    def _put(self, record: Claimed | RunEnded, origin: Origin) -> None:
        raw = CODEC.encode(record, record_id="i", origin=origin, time_ms=0, trace="0" * 32)
        self.records.append(Stored(len(self.records), *raw))


def findings(writer: Writer) -> list[tuple[int, str]]:
    sequence = Sequence(Partition("task", 0), CODEC)
    return [(finding.offset, finding.kind) for finding in sequence.check(writer.records)]


def test_one_owner_in_sequence_leaves_nothing_to_say() -> None:
    writer = Writer()
    writer.claim("a", 1)
    writer.say("a", 1, 0, 1, 2)
    writer.claim("b", 2)
    writer.say("b", 2, 0)
    sequence = Sequence(Partition("task", 0), CODEC)
    assert not list(sequence.check(writer.records))
    assert sequence.counts == {"claim": 2, "fact": 4}


def test_a_gap_is_found_once_until_the_next_claim() -> None:
    writer = Writer()
    writer.claim("a", 1)
    writer.say("a", 1, 0, 2, 3, 4)
    writer.claim("b", 2)
    writer.say("b", 2, 0, 2)
    assert findings(writer) == [(2, "gap"), (7, "gap")]


def test_a_zombie_and_a_claim_that_came_too_late_are_found() -> None:
    writer = Writer()
    writer.claim("a", 1)
    writer.claim("b", 2)
    writer.say("a", 1, 0)
    writer.claim("c", 2)
    writer.say("b", 2, 0)
    assert findings(writer) == [(2, "superseded"), (3, "claim")]


def test_bytes_of_nobody_are_found() -> None:
    writer = Writer()
    writer.records.append(Stored(0, b"", b"garbage", (), 0))
    assert findings(writer) == [(0, "undecodable")]
