"""Whatever is done to a signed log is found, with its place."""

import json
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw
import pytest

from bus.address import view_log
from bus.backends.packing import pack, unpack
from bus.channel import STATE_CHANNELS, Partition
from bus.log import Raw, Stored
from services.audit.chain import BLOCK_RECORDS, Chain, leaf_of, root_of
from services.audit.checkpoint import Anchor, AnchorInvalid, make_anchor, read_anchor, write_anchor
from services.audit.signing_key import SigningKey, check_signature, keep_signing_key
from services.audit.verification import PartitionCheck, Tampering, verify_log
from tests.services.audit.recorded import Recorded, read_all

PLACE = Partition("task", 0)
KEY = SigningKey(b"k" * 32)
LENGTH = 150
MUTATIONS = 10_000


def record(rng: random.Random, offset: int) -> Stored:
    headers = (("ce_type", rng.randbytes(8)), ("ce_id", rng.randbytes(12)), ("clawx", b"fact|r|s|1|" + b"%d" % offset))
    return Stored(offset, rng.choice((b"w", b"v", b"")), rng.randbytes(rng.randrange(60)), headers, 1_000 + offset)


def renumbered(records: Sequence[Stored]) -> list[Stored]:
    return [stored._replace(offset=offset) for offset, stored in enumerate(records)]


def anchor_of(records: Sequence[Stored], partition: Partition = PLACE) -> Anchor:
    chain = Chain(partition)
    chain.extend(records)
    return make_anchor([chain], KEY, namespace="n", partitions=1, made_at_ms=1)


def check(anchor: Anchor, records: Sequence[Stored]) -> Tampering | None:
    follower = PartitionCheck(anchor, PLACE)
    for at in range(0, len(records), 40):
        follower.take(records[at : at + 40])
    return follower.result()


Log = list[Stored]


def flip(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]


def altered(rng: random.Random, stored: Stored) -> Stored:
    """The record with one thing about it changed, however small."""
    headers = list(stored.headers)
    at = rng.randrange(len(headers))
    name, content = headers[at]
    match rng.randrange(9):
        case 0 if stored.value:
            return stored._replace(value=flip(rng, stored.value))
        case 1:
            return stored._replace(key=stored.key + b"x")
        case 2:
            return stored._replace(time_ms=stored.time_ms + rng.choice((-1, 1)))
        case 3:
            headers[at] = (name, flip(rng, content))
        case 4:
            headers[at] = (name + "_", content)
        case 5:
            headers.insert(at, ("extra", b""))
        case 6:
            del headers[at]
        case 7:
            headers[0], headers[1] = headers[1], headers[0]
        case _:
            return stored._replace(value=stored.value + b"\0")
    return stored._replace(headers=tuple(headers))


def modify(rng: random.Random, log: Log, at: int) -> Log:
    size = rng.choice((1, 1, 1, 2, 5))
    return [*log[:at], *(altered(rng, stored) for stored in log[at : at + size]), *log[at + size :]]


def delete(rng: random.Random, log: Log, at: int) -> Log:
    return [*log[:at], *log[at + rng.choice((1, 1, 2, 7)) :]]


def insert(rng: random.Random, log: Log, at: int) -> Log:
    new = [rng.choice((log[rng.randrange(len(log))], record(rng, 0))) for _ in range(rng.choice((1, 1, 2, 7)))]
    return [*log[:at], *new, *log[at:]]


def reorder(rng: random.Random, log: Log, at: int) -> Log:
    other = min(len(log) - 1, at + rng.choice((1, 1, 2, 30)))
    log = list(log)
    log[at], log[other] = log[other], log[at]
    return log


def truncate(rng: random.Random, log: Log, at: int) -> Log:
    return log[:at]


MUTATE: dict[str, Callable[[random.Random, Log, int], Log]] = {
    "modified": modify,
    "deleted": delete,
    "inserted": insert,
    "reordered": reorder,
    "truncated": truncate,
}


def first_difference(log: Log, changed: Log) -> int:
    """Where the two first differ, within what was signed; the length of it where they do not."""
    pairs = zip(log, changed, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a[1:] != b[1:]), min(len(log), len(changed)))


def test_ten_thousand_mutations_are_all_found_and_placed() -> None:
    rng, found_kinds = random.Random(7), dict.fromkeys(MUTATE, 0)
    log = [record(rng, offset) for offset in range(LENGTH)]
    anchor = anchor_of(log)
    later = [record(rng, LENGTH + n) for n in range(20)]
    told = 0
    for number in range(MUTATIONS):
        kind = rng.choice(list(MUTATE))
        signed = MUTATE[kind](rng, log, rng.randrange(LENGTH))
        for _ in range(rng.choice((0, 0, 0, 1))):  # more than one thing at once
            signed = modify(rng, signed, rng.randrange(len(signed) or 1))
        changed = renumbered([*signed, *later] if rng.random() < 0.3 and kind != "truncated" else signed)
        at = first_difference(log, changed)
        if at == LENGTH:
            continue  # it did not change what was signed
        found = check(anchor, changed)
        assert found is not None, f"mutation {number}: {kind} at {at} was not found"
        assert found.offset == at, f"mutation {number}: {kind} at {at} was placed at {found.offset}"
        told += 1
        found_kinds[found.kind if found.kind in found_kinds else kind] += 1
    assert told > MUTATIONS * 0.9
    assert all(count > 500 for count in found_kinds.values()), found_kinds


@pytest.mark.parametrize("kind", MUTATE)
def test_a_single_mutation_is_called_what_it_is(kind: str) -> None:
    rng, right = random.Random(3), 0
    log = [record(rng, offset) for offset in range(LENGTH)]
    anchor = anchor_of(log)
    for _ in range(200):
        changed = renumbered(MUTATE[kind](rng, log, rng.randrange(LENGTH - 20)))
        found = check(anchor, changed)
        assert found is not None
        right += found.kind == kind
    assert right >= 195, right  # an insertion of what stands there anyway can be seen in two ways


def test_nothing_is_found_where_nothing_was_changed_and_more_was_appended() -> None:
    rng = random.Random(1)
    for length in (0, 1, BLOCK_RECORDS - 1, BLOCK_RECORDS, BLOCK_RECORDS + 1, LENGTH):
        log = [record(rng, offset) for offset in range(length)]
        anchor = anchor_of(log)
        assert check(anchor, log) is None
        assert check(anchor, [*log, record(rng, length), record(rng, length + 1)]) is None


def test_a_change_that_keeps_its_tag_is_found_by_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tags are short; whoever finds a second record with the same one still changes the head."""
    rng = random.Random(1)
    log = [record(rng, offset) for offset in range(LENGTH)]
    anchor = anchor_of(log)
    forged = log[70]._replace(value=b"forged")
    leaf = leaf_of(log[70])[:4] + leaf_of(forged)[4:]
    monkeypatch.setattr(
        "services.audit.verification.leaf_of", lambda stored: leaf if stored is forged else leaf_of(stored)
    )
    found = check(anchor, [*log[:70], forged, *log[71:]])
    assert found is not None
    assert (found.kind, found.offset) == ("changed", BLOCK_RECORDS)


def test_leaves_differ_whenever_anything_does() -> None:
    base = Stored(0, b"ab", b"c", (("n", b"v"), ("m", b"")), 5)
    others = [
        base._replace(key=b"a", value=b"bc"),
        base._replace(headers=(("nv", b""), ("m", b""))),
        base._replace(headers=(("m", b""), ("n", b"v"))),
        base._replace(headers=(("n", b"v"), ("m", None))),  # type: ignore[arg-type]
        base._replace(headers=(("n", b"v"),)),
        base._replace(time_ms=-5),
    ]
    assert len({leaf_of(each) for each in (base, *others)}) == len(others) + 1
    assert leaf_of(base) == leaf_of(base._replace(offset=9))


def test_merkle_roots_tell_counts_and_orders_apart() -> None:
    leaves = [bytes([n]) for n in range(9)]
    roots = {root_of(leaves[:count]) for count in range(10)} | {root_of([*leaves[1:], leaves[0]])}
    assert len(roots) == 11
    assert root_of([*leaves, leaves[-1]]) != root_of(leaves)


def test_an_anchor_that_was_changed_or_signed_by_another_is_refused() -> None:
    rng = random.Random(5)
    anchor = anchor_of([record(rng, offset) for offset in range(LENGTH)])
    text = "\n".join(write_anchor(anchor))
    assert read_anchor(text.splitlines()) == anchor
    check_signature(anchor.checkpoint, KEY.public_key)
    with pytest.raises(AnchorInvalid, match="has signed it, not ed25519:"):
        check_signature(anchor.checkpoint, SigningKey(b"x" * 32).public_key)
    for _ in range(1_000):
        changed = flip(rng, text.encode()).decode(errors="replace")
        try:
            found = read_anchor(changed.splitlines())
            check_signature(found.checkpoint, KEY.public_key)
        except AnchorInvalid:
            continue
        assert found == anchor, f"not noticed: {changed}"


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "audit" / "signing.key"
    key = keep_signing_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert keep_signing_key(path).public_key == key.public_key
    assert path.with_suffix(".pub").read_text().strip() == key.public_key.hex()
    assert path.read_text().strip() not in path.with_suffix(".pub").read_text()


async def chains_of(url: str) -> list[Chain]:
    log = await view_log(url)
    chains = []
    for partition, records in (await read_all(log, STATE_CHANNELS)).items():
        chains.append(Chain(partition))
        chains[-1].extend(records)
    await log.close()
    return chains


async def heads_of(url: str) -> list[bytes]:
    return [chain.head for chain in await chains_of(url)]


def mutate_file(path: Path, rng: random.Random, kind: str) -> Partition:
    """Change a log where it is stored, as somebody with access to the disk would."""
    connection = apsw.Connection(str(path))
    rows = list(connection.execute("SELECT id, count, packed FROM records WHERE count >= 2 ORDER BY id"))
    row, _, packed = rng.choice([each for each in rows if each[0] >> 40 in (4, 12)])
    records = unpack(packed, 0, 0, 10_000)
    changed = renumbered(MUTATE[kind](rng, records, rng.randrange(len(records))))
    raws = [Raw(*stored[1:]) for stored in changed]
    names = dict(connection.execute("SELECT id, channel || '/' || number FROM partitions"))
    connection.execute("UPDATE records SET count = ?, packed = ? WHERE id = ?", (len(raws), pack(raws), row))
    connection.close()
    channel, number = names[row >> 40].split("/")
    return Partition(channel, int(number))


async def test_changes_to_the_file_of_a_real_log_are_found(recorded: Recorded, tmp_path: Path) -> None:
    anchor = make_anchor(await chains_of(recorded.url), KEY, namespace="clawx", partitions=8, made_at_ms=1)
    log = await view_log(recorded.url)
    assert not [each async for each in verify_log(log, anchor)]
    await log.close()
    rng, found = random.Random(11), 0
    for kind in ("modified", "deleted", "reordered", "truncated") * 5:
        copy = tmp_path / "copy"
        shutil.copytree(recorded.data / "log", copy)
        partition = mutate_file(copy / "log.sqlite", rng, kind)
        log = await view_log(f"sqlite:///{copy / 'log.sqlite'}")
        if await heads_of(f"sqlite:///{copy / 'log.sqlite'}") != await heads_of(recorded.url):
            (tampering,) = [each async for each in verify_log(log, anchor)]
            assert tampering.partition == partition
            found += 1
        await log.close()
        shutil.rmtree(copy)
    assert found >= 15


def test_an_anchor_is_one_line_and_small(recorded: Recorded) -> None:
    rng = random.Random(2)
    anchor = anchor_of([record(rng, offset) for offset in range(10_000)])
    lines = list(write_anchor(anchor))
    assert json.loads(lines[0])["heads"]["task/0"]["offset"] == 10_000
    assert sum(map(len, lines)) < 10_000 * 8
