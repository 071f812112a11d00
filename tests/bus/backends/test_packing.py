"""Packed records come back as they were, from any position."""

from hypothesis import given
from hypothesis import strategies as st

from bus.backends.packing import pack, unpack
from bus.log import Raw

headers = st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=8)), max_size=3).map(tuple)
records = st.builds(Raw, st.binary(max_size=9), st.binary(max_size=9), headers, st.integers(-(2**63), 2**63 - 1))


@given(st.lists(records, min_size=1, max_size=8), st.data())
def test_unpacked_is_what_was_packed(written: list[Raw], data: st.DataObject) -> None:
    skipped = data.draw(st.integers(0, len(written)))
    most = data.draw(st.integers(0, len(written)))
    found = unpack(pack(written), 100, 100 + skipped, most)
    assert [each[1:] for each in found] == written[skipped : skipped + most]
    assert [each.offset for each in found] == list(range(100 + skipped, 100 + skipped + len(found)))


@given(st.lists(records), st.lists(records))
def test_packed_blobs_may_be_joined(first: list[Raw], second: list[Raw]) -> None:
    assert pack(first) + pack(second) == pack(first + second)
