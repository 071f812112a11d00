"""How the members of a group share partition numbers: evenly, and each keeps what it has as far as that goes."""

from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

_VERSION = 0


def share_out(numbers: Iterable[int], held: Mapping[str, Iterable[int]]) -> dict[str, list[int]]:
    """Numbers for each member; no two differ by more than one in count, and a number moves only if it must.

    Depends on its arguments alone. Where two say that they hold a number, the first by name does.
    """
    free = set(numbers)
    kept: dict[str, list[int]] = {}
    for member in sorted(held):
        kept[member] = sorted(free & set(held[member]))
        free -= set(kept[member])
    fewest, more = divmod(len(free) + sum(map(len, kept.values())), len(kept))
    # Who holds most is the one who may hold one more.
    by_count = sorted(kept, key=lambda member: (-len(kept[member]), member))
    room = {member: fewest + (rank < more) for rank, member in enumerate(by_count)}
    for member, count in room.items():
        free |= set(kept[member][count:])
        del kept[member][count:]
    left = iter(sorted(free))
    return {member: sorted([*kept[member], *_next(left, room[member] - len(kept[member]))]) for member in kept}


def _next(numbers: Iterable[int], count: int) -> list[int]:
    return [number for _, number in zip(range(count), numbers, strict=False)]


class Sharing:
    """What the client library calls an assignor; one for each member, since it remembers what the member holds."""

    name = "clawx-keep"

    def __init__(self) -> None:
        self._held: list[int] = []

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """What this member tells whoever shares out: its topics and what it holds."""
        return ConsumerProtocolMemberMetadata(_VERSION, list(topics), ",".join(map(str, self._held)).encode())

    def assign(self, cluster: Any, members: Mapping[str, ConsumerProtocolMemberMetadata]) -> dict[str, Any]:
        """Share out, when this member was chosen to do it."""
        (topic,) = {each for member in members.values() for each in member.subscription}
        held = {name: _numbers(member.user_data) for name, member in members.items()}
        shares = share_out(cluster.partitions_for_topic(topic) or (), held)
        return {
            member: ConsumerProtocolMemberAssignment(_VERSION, [(topic, numbers)], b"")
            for member, numbers in shares.items()
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Remember what this member was given."""
        self._held = [each.partition for each in assignment.partitions()]


def _numbers(data: bytes) -> list[int]:
    return [int(number) for number in data.split(b",") if number]
