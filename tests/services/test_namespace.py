"""A namespace that was written in another language is refused before anything is written to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bus.address import open_log
from bus.channel import Partition
from bus.codec import Codec
from bus.errors import NamespaceMismatch
from bus.log import Log
from bus.record import Ask, Claimed, Fact, Origin, Record
from services.namespace import SAMPLE_RECORDS_MAX, check_namespace
from services.records import language_codec
from services.records.task import RunEnded

ROLE = "orchestrator.runs"
AT = Partition("task", 3)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    """An empty embedded log."""
    opened = await open_log(f"sqlite:///{tmp_path / 'log'}")
    yield opened
    await opened.close()


async def write(log: Log, codec: Codec, *records: Record) -> None:
    appender = await log.appender()
    for seq, record in enumerate(records):
        kind = "claim" if isinstance(record, Claimed) else "fact" if isinstance(record, Fact) else "ask"
        origin = Origin(kind, ROLE if kind != "ask" else "", "s", 1, seq, cause="task/3/0")
        key = "" if kind == "claim" else "w"
        raw = codec.encode(record, record_id="0" * 24, origin=origin, time_ms=1, trace="1" * 32, key=key)
        await appender.append(AT, [raw])
    await appender.close()


def other_fact(name: str) -> type[Fact]:
    return type(name, (Fact,), {"__annotations__": {"outcome": int}}, channel="task")


def other_ask() -> type[Ask]:
    return type("RunRequested", (Ask,), {"__annotations__": {"outcome": int}}, channel="task")


async def test_an_empty_namespace_and_one_of_ours_are_fine(log: Log) -> None:
    codec = language_codec()
    await check_namespace(log, codec)
    await write(log, codec, Claimed(role=ROLE, session="s", epoch=1))
    await write(log, codec, *[RunEnded(workspace_id="w", run_id="r", status="completed")] * (SAMPLE_RECORDS_MAX + 5))
    await check_namespace(log, codec)


@pytest.mark.parametrize(
    ("name", "said"), [("RunEnded", "with another schema"), ("RunReborn", "by a program that knows more types")]
)
async def test_a_fact_of_another_language_is_refused_with_its_place(log: Log, name: str, said: str) -> None:
    kind = other_fact(name)
    await write(log, language_codec(), RunEnded(workspace_id="w", run_id="r", status="completed"))
    await write(log, Codec([kind]), kind(outcome=1))
    with pytest.raises(NamespaceMismatch, match=f"'clawx' speaks another language: task/3/1 is a {name} .* {said}"):
        await check_namespace(log, language_codec())


async def test_asks_of_outsiders_are_left_to_those_who_set_them_aside(log: Log) -> None:
    kind = other_ask()
    await write(log, Codec([kind]), kind(outcome=1))
    await check_namespace(log, language_codec())
