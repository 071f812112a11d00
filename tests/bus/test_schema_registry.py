"""A language registered and read by ids: both framings, older and foreign schemas, and registries that fail."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bus.access import Access
from bus.address import open_log
from bus.avro import schema_of
from bus.channel import Partition
from bus.codec import Codec
from bus.errors import BusError, NamespaceMismatch, Refused, Unavailable, Undecodable
from bus.framing import confluent, frame_of, single_object
from bus.log import Log, Raw, Stored
from bus.record import Ask, Fact, InputQuarantined, Origin, Record
from bus.schema_learning import LearningLog
from bus.schema_registry import RegistrySettings, SchemaRegistry
from tests.bus.bank import LANGUAGE, Deposited, DepositRequested
from tests.bus.bank import Stored as Kept
from tests.bus.bank_runtime import heard, hosting, publish
from tests.bus.registry import Registry

P0 = Partition("task", 0)


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    registry = Registry()
    async with registry.serving():
        yield registry


@asynccontextmanager
async def learning(directory: Path, registry: Registry, codec: Codec, *, writes: bool = True) -> AsyncIterator[Log]:
    """A log behind a registry; the log itself may be any."""
    below: Any = await open_log(f"sqlite:///{directory / 'log'}", partitions=1)
    log = await LearningLog.open(below, codec, RegistrySettings(url=registry.url, answer_ms_max=500), writes=writes)
    try:
        yield log
    finally:
        await log.close()


async def stored(log: Log, channel: str = "task") -> list[Stored]:
    """All that stands in the first partition of a channel."""
    partition = Partition(channel, 0)
    reader = await log.reader({partition: 0})
    found: list[Stored] = []
    end = (await log.ends([partition]))[partition]
    while len(found) < end:
        found += (await reader.read()).get(partition, ())
    await reader.close()
    return found


async def append(log: Log, *raws: Raw) -> None:
    appender = await log.appender()
    await appender.append(P0, raws)
    await appender.close()


async def test_every_type_is_registered_by_topic_and_record_name_and_insists_on_full_transitive(
    registry: Registry, tmp_path: Path
) -> None:
    async with learning(tmp_path, registry, Codec(LANGUAGE)):
        pass
    assert "clawx.task-clawx.task.DepositRequested" in registry.subjects
    assert {f"clawx.{channel}-clawx.bus.Claimed" for channel in ("task", "event", "data", "review")} <= set(
        registry.subjects
    )
    assert registry.levels == dict.fromkeys(registry.subjects, "FULL_TRANSITIVE")
    first = {call.split("/")[2]: n for n, call in reversed([*enumerate(registry.calls)]) if call.startswith("PUT")}
    posted = {call.split("/")[2]: n for n, call in enumerate(registry.calls) if call.endswith("/versions")}
    assert all(first[subject] < posted[subject] for subject in registry.subjects)


async def test_who_comes_later_only_looks_up_and_nobody_asks_while_records_flow(
    registry: Registry, tmp_path: Path
) -> None:
    async with learning(tmp_path, registry, Codec(LANGUAGE)):
        registry.calls.clear()
    codec = Codec(LANGUAGE)
    async with learning(tmp_path, registry, codec) as log:
        assert {call.split("/")[1] for call in registry.calls} == {"subjects"}
        assert len(registry.calls) == len(registry.subjects)
        registry.calls.clear()
        async with hosting(log, codec) as runtime:
            await publish(log, codec, *(DepositRequested(workspace_id="w", amount=1) for _ in range(30)))
            assert [each.record.total for each in await heard(log, codec, Kept, 30)] == list(range(1, 31))
            assert not runtime.halted
        assert {each.value[:1] for each in await stored(log)} == {b"\x00"}
        assert registry.calls == []


async def test_readers_take_both_framings_and_ask_for_ids_that_they_do_not_know(
    registry: Registry, tmp_path: Path
) -> None:
    plain = await open_log(f"sqlite:///{tmp_path / 'log'}", partitions=1)
    await publish(plain, Codec(LANGUAGE), DepositRequested(workspace_id="w", amount=1))
    await plain.close()
    writer = Codec(LANGUAGE)
    async with learning(tmp_path, registry, writer) as log:
        await publish(log, writer, DepositRequested(workspace_id="w", amount=2), first=1)
    registry.calls.clear()
    reader = Codec(LANGUAGE)
    async with learning(tmp_path, registry, reader, writes=False) as log:
        found = await heard(log, reader, DepositRequested, 2)
        assert [each.record.amount for each in found] == [1, 2]
        assert registry.calls == [f"GET /schemas/ids/{int.from_bytes((await stored(log))[1].value[1:5], 'big')}"]
        async with hosting(log, reader):
            assert [each.record.total for each in await heard(log, reader, Deposited, 2)] == [1, 3]
        assert {each.value[:1] for each in await stored(log)} == {b"\x00", b"\xc3"}


async def test_over_kafka_the_registry_is_named_by_the_url(kafka: str, namespace: str, registry: Registry) -> None:
    codec, url = Codec(LANGUAGE), f"kafka://{kafka}?namespace={namespace}&partitions=2&registry={registry.url}"
    log = await open_log(url, codec=codec)
    async with hosting(log, codec) as runtime:
        await publish(log, codec, *(DepositRequested(workspace_id=f"w{n}", amount=1) for n in range(10)))
        assert len(await heard(log, codec, Kept, 10)) == 10
        assert not runtime.halted
    assert f"{namespace}.task-clawx.task.DepositRequested" in registry.subjects
    other = Codec(LANGUAGE)
    reading = await open_log(
        f"kafka://{kafka}?namespace={namespace}", access=Access(registry=registry.url), codec=other
    )
    assert len(await heard(reading, other, Kept, 10)) == 10
    await reading.close()
    await log.close()


# Schemas that differ.


def noted(version: int) -> type[Record]:
    """One record type as it was in each version."""
    if version == 1:

        class Noted(Ask, channel="task"):
            workspace_id: str
            text: str
            old: int = 7

    else:

        class Noted(Ask, channel="task"):  # type: ignore[no-redef]
            workspace_id: str
            text: str
            mood: str = "calm"

    return Noted


def encode(codec: Codec, record: Record) -> Raw:
    return codec.encode(record, record_id="id", origin=Origin("ask"), time_ms=1, trace="a" * 32)


def decode(codec: Codec, raw: Raw, offset: int = 0) -> Record:
    found = Stored(offset, raw.key, raw.value, raw.headers, raw.time_ms)
    record: Record = codec.decode(found, codec.peek(found), P0).record
    return record


async def test_what_an_older_version_wrote_is_read_with_the_schema_of_today(registry: Registry, tmp_path: Path) -> None:
    old_type, new_type = noted(1), noted(2)
    old, new = Codec((old_type,)), Codec((new_type,))
    async with learning(tmp_path, registry, old) as log:
        await append(log, encode(old, old_type(workspace_id="w", text="hello", old=3)))
    async with learning(tmp_path, registry, new) as log:
        await append(log, encode(new, new_type(workspace_id="w", text="hello", mood="glad")))
        found = await heard(log, new, new_type, 2)
        assert [each.record.mood for each in found] == ["calm", "glad"]
    again = Codec((old_type,))
    async with learning(tmp_path, registry, again) as log:
        assert [each.record.old for each in await heard(log, again, old_type, 2)] == [3, 7]


def test_what_a_release_wrote_is_read_without_a_registry() -> None:
    old_type, new_type = noted(1), noted(2)
    raw = encode(Codec((old_type,)), old_type(workspace_id="w", text="hello", old=3))
    with pytest.raises(Undecodable, match="must start with"):
        decode(Codec((new_type,)), raw)
    record: Any = decode(Codec((new_type,), older=[schema_of(old_type, "clawx.task")]), raw)
    assert (record.text, record.mood) == ("hello", "calm")


def test_bytes_of_an_older_schema_are_hostile_too() -> None:
    old_type, new_type = noted(1), noted(2)
    codec = Codec((new_type,), older=[schema_of(old_type, "clawx.task")])
    raw = encode(Codec((old_type,)), old_type(workspace_id="w", text="hello", old=3))
    longer = raw._replace(value=raw.value[:-1] + b"\x86\x00")  # the same number in more bytes than it takes
    for value in (raw.value + b"\x00", raw.value[:-1], longer.value, raw.value[:-2] + b"\xff\x06"):
        with pytest.raises(Undecodable):
            decode(codec, raw._replace(value=value))


def test_all_bytes_of_an_older_fact_are_used_too() -> None:
    class Noted(Fact, channel="task"):
        workspace_id: str
        mood: str = "calm"

    older = schema_of(Noted, "clawx.task")
    older = older | {"fields": older["fields"][:1]}
    codec, origin = Codec((Noted,), older=[older]), Origin("fact", "noter", "s" * 16, 1)
    raw = codec.encode(Noted(workspace_id="w"), record_id="id", origin=origin, time_ms=1, trace="a" * 32)
    written = single_object(older) + b"\x02w"
    assert decode(codec, raw._replace(value=written)) == Noted(workspace_id="w")
    with pytest.raises(Undecodable, match="2 bytes follow the body"):
        decode(codec, raw._replace(value=written + b"\x00\x00"))


def test_a_schema_that_differs_in_words_alone_is_the_schema_of_today() -> None:
    kind = noted(2)
    codec, said = Codec((kind,)), schema_of(kind, "clawx.task") | {"doc": "Other words."}
    raw = encode(codec, kind(workspace_id="w", text="hello"))
    codec.learn(confluent(9), said)
    assert decode(codec, raw._replace(value=confluent(9) + raw.value[10:])) == decode(codec, raw)


def foreign(*fields: Any, name: str = "clawx.task.Noted") -> dict[str, Any]:
    namespace, _, short = name.rpartition(".")
    return {"type": "record", "name": short, "namespace": namespace, "fields": list(fields)}


WORKSPACE, TEXT = {"name": "workspace_id", "type": "string"}, {"name": "text", "type": "string"}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (foreign(WORKSPACE, TEXT, name="other.Noted"), "written as other.Noted, which is no record type here"),
        (foreign(WORKSPACE), "Noted.text has no default"),
        (foreign(WORKSPACE, {"name": "text", "type": "long"}), "Noted.text was a long and is a string"),
        (foreign(WORKSPACE, TEXT, {"name": "n", "type": {"type": "array", "items": "null"}}), "none that records here"),
        (foreign(WORKSPACE, TEXT, {"name": "n", "type": "clawx.task.Noted"}), "contains itself"),
        ("string", "none that records here"),
        (17, "none that records here"),
    ],
)
def test_a_schema_that_cannot_be_read_is_named_when_it_is_met(schema: Any, reason: str) -> None:
    kind = noted(2)
    codec = Codec((kind,))
    raw = encode(codec, kind(workspace_id="w", text="hello"))
    codec.learn(confluent(9), schema)
    with pytest.raises(Undecodable, match="this is no Noted") as failure:
        decode(codec, raw._replace(value=confluent(9) + raw.value[10:]))
    assert reason in str(failure.value)


async def test_an_id_of_nobody_is_quarantined_and_asked_for_again_when_it_is_met_again(
    registry: Registry, tmp_path: Path
) -> None:
    codec = Codec(LANGUAGE)
    async with learning(tmp_path, registry, codec) as log, hosting(log, codec):
        raw = encode(codec, DepositRequested(workspace_id="w", amount=1))
        later = len(registry.schemas) + 1
        await append(log, raw._replace(value=confluent(later) + raw.value[5:]))
        (said,) = await heard(log, codec, InputQuarantined, 1, channel="task")
        assert f"the schema id {later}, which no registry here has told of" in said.record.reason
        changed = json.dumps(schema_of(DepositRequested, "clawx.task") | {"doc": "Other words."})
        assert registry.register("clawx.task-clawx.task.DepositRequested", changed) == later
        await append(log, raw._replace(value=confluent(later) + raw.value[5:]))
        assert (await heard(log, codec, Deposited, 1))[0].record.total == 1
        for value in (b"", b"\x00", b"\x00\x00\x00\x00", b"\x00\xff\xff\xff\xff\x00", b"\xc3\x01"):
            await append(log, raw._replace(value=value))
        assert len(await heard(log, codec, InputQuarantined, 6, channel="task")) == 6


# Registries that fail.


async def agree(registry: Registry, codec: Codec, **settings: Any) -> str:
    """What connecting says against the registry, in one sentence that names it."""
    client = SchemaRegistry(RegistrySettings(url=registry.url, answer_ms_max=300, **settings))
    with pytest.raises(BusError) as failure:
        await client.register_all({"topic-a.B": schema_of(DepositRequested, "clawx.task")})
    await client.close()
    told = str(failure.value)
    assert registry.url in told
    assert "\n" not in told
    return told


async def test_a_language_that_is_not_compatible_is_a_mismatch(registry: Registry, tmp_path: Path) -> None:
    class Noted(Ask, channel="task"):
        workspace_id: str
        text: bool

    async with learning(tmp_path, registry, Codec((noted(1),))):
        pass
    with pytest.raises(NamespaceMismatch, match=r"clawx\.task-clawx\.task\.Noted.*FULL_TRANSITIVE") as failure:
        async with learning(tmp_path, registry, Codec((Noted,))):
            pass
    assert "\n" not in str(failure.value)


async def test_a_registry_that_is_away_silent_or_broken_is_unavailable(registry: Registry) -> None:
    codec = Codec(LANGUAGE)

    async def silent(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def broken(request: web.Request) -> web.StreamResponse:
        return web.Response(status=500, text="<html>\nInternal Server Error")

    async def other(request: web.Request) -> web.StreamResponse:
        return web.Response(text="hello")

    for breakdown, reason in ((silent, "nothing within 300 ms"), (broken, "HTTP 500"), (other, "HTTP 200")):
        registry.breakdown = breakdown
        assert reason in await agree(registry, codec)


async def test_a_registry_that_wants_a_name_is_told_it_and_never_tells_the_password(registry: Registry) -> None:
    codec = Codec(LANGUAGE)
    registry.user = ("clawx", "hidden")
    assert "refuses who gives no name: HTTP 401" in await agree(registry, codec)
    told = await agree(registry, codec, username="clawx", password="wrong")
    assert "refuses the user 'clawx': HTTP 401" in told
    assert "wrong" not in told
    settings = RegistrySettings(url=registry.url, username="clawx", password="hidden")
    assert "hidden" not in repr(settings)
    client = SchemaRegistry(settings)
    assert await client.register_all({"topic-a.B": schema_of(DepositRequested, "clawx.task")}) == {"topic-a.B": 1}
    await client.close()


async def test_nothing_is_lost_while_the_registry_is_away(registry: Registry, tmp_path: Path) -> None:
    writer, codec = Codec(LANGUAGE), Codec(LANGUAGE)
    async with learning(tmp_path, registry, writer) as log:
        await publish(log, writer, *(DepositRequested(workspace_id="w", amount=n) for n in range(3)))

    async def broken(request: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    async with learning(tmp_path, registry, codec, writes=False) as log:
        registry.breakdown = broken
        reader = await log.reader({P0: 0})
        for _ in range(2):
            with pytest.raises(Unavailable, match="HTTP 503"):
                await reader.read()
        registry.breakdown = None
        assert [each.offset for each in (await reader.read())[P0]] == [0, 1, 2]
        reader.seek({P0: 2})
        assert [each.offset for each in (await reader.read())[P0]] == [2]
        await reader.close()


async def test_a_reader_that_is_moved_meanwhile_forgets_what_it_kept_back(registry: Registry, tmp_path: Path) -> None:
    writer, codec = Codec(LANGUAGE), Codec(LANGUAGE)
    async with learning(tmp_path, registry, writer) as log:
        await publish(log, writer, *(DepositRequested(workspace_id="w", amount=n) for n in range(3)))

    async def broken(request: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    async with learning(tmp_path, registry, codec, writes=False) as log:
        moved, dropped = await log.reader({P0: 0}), await log.reader({P0: 0})
        registry.breakdown = broken
        for reader in (moved, dropped):
            with pytest.raises(Unavailable):
                await reader.read()
        registry.breakdown = None
        moved.seek({P0: 1})
        assert [each.offset for each in (await moved.read())[P0]] == [1, 2]
        dropped.drop([P0])
        assert await dropped.read(wait_ms=10) == {}
        await moved.close()
        await dropped.close()


@pytest.mark.parametrize("url", ["localhost:8081", "ftp://localhost", "http://", "http://name:word@localhost:8081"])
def test_what_names_no_registry_is_refused(url: str) -> None:
    with pytest.raises(Refused) as failure:
        RegistrySettings(url=url)
    assert "word" not in str(failure.value).replace("password", "")


def test_frames_are_told_apart() -> None:
    assert frame_of(confluent(258) + b"body") == b"\x00\x00\x00\x01\x02"
    assert frame_of(b"\xc3\x01" + b"f" * 8 + b"body") == b"\xc3\x01" + b"f" * 8
