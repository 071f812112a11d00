"""Keys map to partitions as in Kafka's Java client; positions survive being written down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.channel import CHANNELS, Partition, Position, murmur2, partition_number, topic

JAVA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}
"""Values of Kafka's own tests, signed as Java has them."""


def signed(number: int) -> int:
    return number - (number >> 31 << 32)


@pytest.mark.parametrize(("data", "expected"), JAVA.items())
def test_murmur2_equals_javas(data: bytes, expected: int) -> None:
    assert signed(murmur2(data)) == expected


def plain_murmur2(data: bytes) -> int:
    """The same, step by step as the algorithm is published."""
    h = 0x9747B28C ^ len(data)
    position = 0
    while len(data) - position >= 4:
        k = data[position] | data[position + 1] << 8 | data[position + 2] << 16 | data[position + 3] << 24
        k = k * 0x5BD1E995 % 2**32
        k ^= k >> 24
        k = k * 0x5BD1E995 % 2**32
        h = h * 0x5BD1E995 % 2**32
        h ^= k
        position += 4
    left = data[position:]
    for index in reversed(range(len(left))):
        h ^= left[index] << 8 * index
    if left:
        h = h * 0x5BD1E995 % 2**32
    h ^= h >> 13
    h = h * 0x5BD1E995 % 2**32
    return h ^ h >> 15


@given(st.binary(max_size=70))
def test_murmur2_equals_the_plain_algorithm(data: bytes) -> None:
    assert murmur2(data) == plain_murmur2(data)


@given(st.text(), st.integers(1, 1000))
def test_a_key_has_one_partition_of_those_there_are(key: str, partitions: int) -> None:
    assert partition_number(key, partitions) == (plain_murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def test_the_clients_default_partitioner_agrees() -> None:
    partitioner = pytest.importorskip("aiokafka.partitioner").DefaultPartitioner()
    keys = ["default", "pool:gpu", "_system", "工作区", "", *(f"workspace-{number}" for number in range(100))]
    numbers = [partitioner(key.encode(), list(range(8)), list(range(8))) for key in keys]
    assert numbers == [partition_number(key, 8) for key in keys]
    assert set(numbers) == set(range(8))


@given(st.sampled_from(CHANNELS), st.integers(0, 999), st.integers(0, 2**40))
def test_a_position_is_read_as_it_was_written(channel: str, number: int, offset: int) -> None:
    position = Position(channel, number, offset)
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize("text", ["", "task", "task/0", "task/0/x", "task/0/1/2"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- the words are Python's
        Position.parse(text)


def test_names_as_they_are_shown() -> None:
    assert str(Partition("task", 3)) == "task/3"
    assert topic("clawx", "task") == "clawx.task"
