"""What was set aside is listed, shown and published again, once, after what was wrong is mended."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from bus.address import open_log
from bus.blobs import DirectoryBlobs, digest_of
from bus.channel import Partition, Position
from bus.client import LogBus
from bus.codec import Codec
from bus.errors import Refused
from bus.log import Log, Raw
from bus.record import InputQuarantined, Origin
from bus.retry import RETRIED, read_record
from services.cli.log_quarantine import hexdump
from services.gateway.server import open_gateway
from services.http_bus import HttpBus
from services.records import language_codec
from services.records.task import RunCancelRequested
from services.settings import Settings
from tests.bus.bank import LANGUAGE as BANK
from tests.bus.bank import Deposited, DepositRequested
from tests.bus.bank_runtime import NoBlobs, heard, hosting, publish
from tests.services.cli.conftest import Clawx


@pytest.fixture
def garbled(data: Path) -> tuple[str, Raw]:
    """A record that nobody can decode, set aside by its channel's role in the log of the data directory."""
    codec = Codec(BANK)
    ask = DepositRequested(workspace_id="w", amount=1)
    raw = codec.encode(ask, record_id="ask", origin=Origin("ask"), time_ms=1, trace="a" * 32)
    raw = raw._replace(value=raw.value + b"\x1b[31m!")

    data.mkdir()

    async def leave() -> str:
        log = await open_log(Settings(data=data).bus_url, partitions=1)
        appender = await log.appender()
        await appender.append(Partition("task", 0), [raw])
        await appender.close()
        async with hosting(log, codec):
            (said,) = await heard(log, codec, InputQuarantined, 1, channel="task")
        await log.close()
        return str(said.record.input)

    return asyncio.run(leave()), raw


def test_the_list_says_who_set_what_aside_and_why(clawx: Clawx, garbled: tuple[str, Raw]) -> None:
    at, raw = garbled
    (row,) = [json.loads(line) for line in clawx("log", "quarantine", "list", "--json").out.splitlines()]
    assert (row["input"], row["role"], row["size"]) == (at, "bank.teller", len(raw.value))
    assert row["digest"] == digest_of(raw.value)
    assert "undecodable: 6 bytes follow the body of this DepositRequested" in row["reason"]
    table = clawx("log", "quarantine", "list").out
    assert table.split()[:5] == ["INPUT", "ROLE", "SIZE", "TIME", "REASON"]
    assert at in table
    assert clawx("log", "quarantine", "list", "--role", "router.roster").out == ""


def test_what_is_shown_is_the_record_from_its_place_and_nothing_that_a_terminal_obeys(
    clawx: Clawx, garbled: tuple[str, Raw]
) -> None:
    at, raw = garbled
    shown = clawx("log", "quarantine", "show", at)
    assert shown.code == 0
    assert "bank.teller set it aside" in shown.out
    assert "header   ce_type: DepositRequested" in shown.out
    assert "\x1b" not in shown.out
    dumped = [line for line in shown.out.splitlines() if line[:8].isalnum() and line[8:10] == "  " and "|" in line]
    assert bytes.fromhex("".join(line[10:58] for line in dumped)) == raw.value
    found = json.loads(clawx("log", "quarantine", "show", at, "--json").out)
    assert base64.b64decode(found["record"]["value"]) == raw.value
    assert [header["name"] for header in found["record"]["headers"]][:2] == ["ce_type", "ce_id"]


def test_what_still_cannot_be_decoded_is_not_published_again(clawx: Clawx, garbled: tuple[str, Raw]) -> None:
    ended = clawx("log", "quarantine", "retry", garbled[0])
    assert ended.code == 2
    assert f"{garbled[0]} still cannot be decoded: record type 'DepositRequested' is not known here" in ended.err


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        ("task/0/9999", "nothing stands at task/0/9999; task/0 has the offsets from 0"),
        ("task/99/0", "there is no partition task/99"),
        ("telemetry/0/0", "there is no partition telemetry/0"),
        ("seventeen", "right would be CHANNEL/PARTITION/OFFSET"),
    ],
)
def test_a_place_where_nothing_stands_is_wrong(clawx: Clawx, garbled: tuple[str, Raw], at: str, reason: str) -> None:
    for command in ("show", "retry"):
        ended = clawx("log", "quarantine", command, at)
        assert (ended.code, ended.out) == (2, "")
        assert reason in ended.err


def test_without_a_log_there_is_nothing_to_list(clawx: Clawx) -> None:
    assert "there is no log" in clawx("log", "quarantine", "list").err


# Publishing again, on the bank, where a fix can be tried.


async def bank(directory: Path, codec: Codec) -> tuple[Log, LogBus]:
    log = await open_log(f"sqlite:///{directory / 'log'}", partitions=1)
    return log, LogBus(log, codec, NoBlobs())


async def test_an_ask_that_newer_code_can_decode_is_published_again_once(tmp_path: Path) -> None:
    old, new = Codec(tuple(kind for kind in BANK if kind is not DepositRequested)), Codec(BANK)
    log, bus = await bank(tmp_path, old)
    await publish(log, new, DepositRequested(workspace_id="w", amount=5))
    async with hosting(log, old):
        (said,) = await heard(log, old, InputQuarantined, 1, channel="task")
        with pytest.raises(Refused, match="still cannot be decoded: record type 'DepositRequested' is not known here"):
            await bus.retry(_position(said))
    await bus.close()
    await log.close()
    log, bus = await bank(tmp_path, new)
    async with hosting(log, new):
        again = await bus.retry(_position(said))
        (deposited,) = await heard(log, new, Deposited, 1)
        assert (deposited.record.total, deposited.record.ask_id, deposited.origin.cause) == (5, "ask-0", str(again))
        with pytest.raises(Refused, match=f"was published again before: it stands at {again}"):
            await bus.retry(_position(said))
        with pytest.raises(Refused, match=f"nobody has set {again} aside"):
            await bus.retry(again)
    await bus.close()
    await log.close()


def _position(said: Any) -> Any:
    return Position.parse(said.record.input)


async def test_a_retry_that_fails_again_may_be_retried_again_and_nothing_is_decided_twice(tmp_path: Path) -> None:
    codec = Codec(BANK)
    log, bus = await bank(tmp_path, codec)
    async with hosting(log, codec):
        await publish(
            log, codec, DepositRequested(workspace_id="w", amount=13), DepositRequested(workspace_id="w", amount=1)
        )
        (said,) = await heard(log, codec, InputQuarantined, 1, channel="task")
        assert (said.record.digest, said.record.size) == ("", 0), "everybody can decode it where it stands"
        again = await bus.retry(_position(said))
        _, second = await heard(log, codec, InputQuarantined, 2, channel="task")
        assert second.record.input == str(again)
        third = await bus.retry(again)
        assert third.offset > again.offset
        marks = [value for name, value in (await read_record(log, third)).headers if name == RETRIED]
        assert marks == [str(again).encode()], "of a record that is retried again only the last place is told"
        assert len(await heard(log, codec, InputQuarantined, 3, channel="task")) == 3
        assert [each.record.total for each in await heard(log, codec, Deposited, 1)] == [1]
        fact = (await heard(log, codec, Deposited, 1))[0].at
        with pytest.raises(Refused, match="is a fact, which only its own role can say again"):
            await bus.retry(fact)
    await bus.close()
    await log.close()


async def test_the_door_publishes_again_too(tmp_path: Path) -> None:
    codec, settings = language_codec(), Settings(data=tmp_path, port=0)
    log = await open_log(settings.bus_url)
    behind = LogBus(log, codec, DirectoryBlobs(settings.blob_directory))
    async with open_gateway(behind, codec, settings, key="key") as url:
        front = HttpBus(url, "key", codec.types)
        at = await front.publish(RunCancelRequested(workspace_id="default", run_id="nobody"))
        with pytest.raises(Refused, match=f"nobody has set {at} aside"):
            await front.retry(at)
        await front.close()
    await behind.close()
    await log.close()


@pytest.mark.parametrize("size", [0, 1, 8, 9, 16, 17])
def test_a_dump_has_every_byte_at_its_place(size: int) -> None:
    data = bytes(range(0x41, 0x41 + size))
    lines = list(hexdump(data))
    assert bytes.fromhex("".join(line[10:58] for line in lines)) == data
    assert "".join(line.split("|")[1] for line in lines) == data.decode()
