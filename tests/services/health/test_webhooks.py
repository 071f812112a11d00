"""Alarms reach a webhook signed, in order, at least once, and never again once they are acknowledged."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bus.clock import SystemClock
from bus.errors import Refused
from services.health import acknowledged
from services.health.hook import TYPES, Hook, read_hooks
from services.health.webhooks import Webhook
from services.records.event import AlarmCleared, AlarmRaised, BudgetClosed, BudgetCrossed
from services.settings import Settings
from services.system import hosted
from services.topology import WEBHOOKS
from tests.eventually import eventually
from tests.services.factory.world import CODEC, Owners, World

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
NODE = {"rule": "lease", "subject": "node:n1", "owner_key": "pool:default"}


def raised(alarm_id: str, **fields: str) -> AlarmRaised:
    return AlarmRaised(alarm_id=alarm_id, **{**NODE, "severity": "critical", "evidence": "it is silent", **fields})


def cleared(alarm_id: str) -> AlarmCleared:
    return AlarmCleared(alarm_id=alarm_id, **NODE, evidence="it is heard again")


@dataclass
class Receiver:
    """Answers each call with the next of `answers`, and with 204 after them."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    calls: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        body, headers = await request.read(), request.headers
        signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
        digest = hmac.new(KEY, signed, hashlib.sha256).digest()
        if headers["webhook-signature"] != "v1," + base64.b64encode(digest).decode():
            self.wrong.append(headers["webhook-signature"])
        status = self.answers.pop(0) if self.answers else 204
        self.calls.append((status, headers["webhook-id"], json.loads(body)))
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 307 else None)

    async def take_elsewhere(self, request: web.Request) -> web.Response:
        self.wrong.append("a redirect was followed")
        return web.Response(status=204)

    def taken(self) -> list[str]:
        """What was acknowledged, in order."""
        return [f"{body['type']} {body['data']['alarm_id']}" for status, _, body in self.calls if status == 204]

    @property
    def ids(self) -> list[str]:
        return [webhook_id for _, webhook_id, _ in self.calls]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/alarms", receiver.take)
    app.router.add_post("/elsewhere", receiver.take_elsewhere)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        receiver.url = f"http://{host}:{port}/alarms?token=of-theirs"
        yield receiver
        assert not receiver.wrong
    finally:
        await runner.cleanup()


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr("services.health.webhooks.BACKOFF_S_MIN", 0.01)
    async with World.open(tmp_path, event=(AlarmRaised, AlarmCleared)) as world:
        yield world


async def say(world: World, *alarms: AlarmRaised | AlarmCleared) -> None:
    await world.owners.say(*alarms, role="health.watch")


@asynccontextmanager
async def delivering(world: World, url: str) -> AsyncIterator[Webhook]:
    """A webhook that follows, from where it was or from now on."""
    directory = world.directory / "webhooks"
    webhook = Webhook(world.log, CODEC, SystemClock(), Hook(url=url, key=KEY), directory)
    running = asyncio.create_task(webhook.run())
    try:
        await eventually(lambda: running.done() or list(directory.glob("*.json")), what="it knows where it begins")
        yield webhook
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await webhook.close()


def test_the_map_says_what_webhooks_follow() -> None:
    assert set(TYPES) == WEBHOOKS.follows


async def test_each_alarm_is_delivered_once_and_signed_from_the_first_use_on(world: World, receiver: Receiver) -> None:
    await say(world, raised("before"))
    async with delivering(world, receiver.url):
        await say(world, raised("a"), cleared("a"), raised("b"))
        await eventually(lambda: receiver.taken()[2:])
    assert receiver.taken() == ["alarm.raised a", "alarm.cleared a", "alarm.raised b"]
    facts = [each for each in world.heard if each.record.alarm_id != "before"]
    assert receiver.ids == [each.id for each in facts]
    said = receiver.calls[0][2]
    assert said["data"] == facts[0].record.model_dump()
    assert said["timestamp"].endswith("Z")


async def test_what_is_refused_comes_again_with_its_id_and_nothing_overtakes_it(
    world: World, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [500, 307, 404]
    async with delivering(world, receiver.url):
        with caplog.at_level(logging.INFO, "services.health.webhooks"):
            await say(world, raised("a"), cleared("a"))
            await eventually(lambda: receiver.taken()[1:])
    assert receiver.taken() == ["alarm.raised a", "alarm.cleared a"]
    assert len(set(receiver.ids[:4])) == 1
    assert ["does not take" in caplog.messages[0], "takes alarms again" in caplog.messages[1]] == [True, True]
    assert len(caplog.messages) == 2
    assert "of-theirs" not in caplog.text


async def test_a_restart_repeats_what_is_not_acknowledged_and_nothing_else(world: World, receiver: Receiver) -> None:
    receiver.answers = [204] + [503] * 1_000
    async with delivering(world, receiver.url):
        await say(world, raised("a"), raised("b"))
        await eventually(lambda: receiver.calls[1:])
    await say(world, raised("c"))
    receiver.answers.clear()
    async with delivering(world, receiver.url):
        await eventually(lambda: receiver.taken()[2:])
        await say(world, cleared("a"))
        await eventually(lambda: receiver.taken()[3:])
    assert receiver.taken() == ["alarm.raised a", "alarm.raised b", "alarm.raised c", "alarm.cleared a"]
    assert len(set(receiver.ids)) == 4


async def test_what_was_acknowledged_right_before_a_crash_is_repeated_with_its_id(
    world: World, receiver: Receiver
) -> None:
    async with delivering(world, receiver.url):
        (file,) = (world.directory / "webhooks").glob("*.json")
        before = file.read_bytes()
        await say(world, raised("a"))
        await eventually(receiver.taken)
    file.write_bytes(before)
    async with delivering(world, receiver.url):
        await eventually(lambda: receiver.taken()[1:])
    assert receiver.taken() == ["alarm.raised a", "alarm.raised a"]
    assert len(set(receiver.ids)) == 1


async def test_a_log_made_anew_begins_with_the_next_alarm(world: World, receiver: Receiver) -> None:
    async with delivering(world, receiver.url):
        (file,) = (world.directory / "webhooks").glob("*.json")
    ahead = json.loads(file.read_text())
    ahead["inputs"][0]["offset"] += 1_000
    file.write_text(json.dumps(ahead))
    await say(world, raised("before"))
    async with delivering(world, receiver.url):
        await eventually(lambda: json.loads(file.read_text()) != ahead)
        await say(world, raised("a"))
        await eventually(receiver.taken)
    assert receiver.taken() == ["alarm.raised a"]


async def test_a_receiver_that_is_away_is_waited_for(world: World, receiver: Receiver, unused_tcp_port: int) -> None:
    away = f"http://127.0.0.1:{unused_tcp_port}/"
    async with delivering(world, away), delivering(world, receiver.url):
        await eventually(lambda: len(list((world.directory / "webhooks").glob("*.json"))) == 2)
        await say(world, raised("a"))
        await eventually(lambda: receiver.taken() == ["alarm.raised a"])


async def test_a_place_that_cannot_be_saved_repeats_nothing_while_the_process_lives(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.health.webhooks.RETRY_S", 0.01)
    directory = world.directory / "webhooks"
    async with delivering(world, receiver.url):
        directory.rename(world.directory / "moved")
        directory.write_text("in the way")
        await say(world, raised("a"), raised("b"))
        await eventually(lambda: receiver.taken()[1:])
        directory.unlink()
        await say(world, raised("c"))
        await eventually(lambda: directory.is_dir() and list(directory.glob("*.json")))
    assert receiver.taken() == ["alarm.raised a", "alarm.raised b", "alarm.raised c"]


async def test_a_long_alarm_is_cut_to_a_body_that_every_receiver_takes(world: World, receiver: Receiver) -> None:
    async with delivering(world, receiver.url):
        await say(world, raised("a", evidence="\x01" * 50_000, subject="\x01" * 50_000))
        await eventually(receiver.taken)
    (_, _, body) = receiver.calls[0]
    assert len(json.dumps(body)) < 20 * 1024
    assert len(body["data"]["evidence"]) == 1_500


def test_a_damaged_file_of_places_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(Refused, match="cannot be read: put it back, or remove it"):
        acknowledged.load(tmp_path / "x.json")


async def test_a_system_delivers_each_episode_of_an_alarm_where_it_was_told_so(
    tmp_path: Path, receiver: Receiver
) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    settings = Settings.read(
        {"CLAWX_WEBHOOKS": f"{receiver.url},", "CLAWX_WEBHOOK_SECRET_FILE": str(tmp_path / "secret")}, data=tmp_path
    )
    assert "of-theirs" not in repr(settings)
    async with hosted(settings, ["health"]) as system:
        await system.decides()
        await eventually(lambda: list((tmp_path / "webhooks").glob("*.json")))
        (file,) = (tmp_path / "webhooks").glob("*.json")
        budget = {"workspace_id": "default", "subject": "run:r1"}
        crossed = BudgetCrossed(**budget, unit="tokens", percent=80, spent=81, limit=100)
        owners = Owners(system.log)
        await owners.say(crossed, crossed, BudgetClosed(**budget), role="allocator.budgets")
        await eventually(lambda: receiver.calls[1:])
        assert "of-theirs" not in file.read_text()
    assert [body["type"] for _, _, body in receiver.calls] == ["alarm.raised", "alarm.cleared"]
    assert receiver.calls[0][2]["data"]["evidence"] == "81 of 100 tokens are spent"


@pytest.mark.parametrize(
    ("urls", "secret", "said"),
    [
        ("http://ops.example.com/", SECRET, "number 1 is something else"),
        ("https://ops.example.com/,ops.example.com", SECRET, "number 2 is something else"),
        ("https://me:hidden@ops.example.com/", SECRET, "without a user or password"),
        ("https://ops.example.com:port/", SECRET, "number 1 is something else"),
        ("https://ops.example.com/,https://ops.example.com/", SECRET, "one is there twice"),
        ("https://ops.example.com/", None, "wants CLAWX_WEBHOOK_SECRET_FILE"),
        ("https://ops.example.com/", "", "must hold whsec_"),
        ("https://ops.example.com/", SECRET.removeprefix("whsec_"), "must hold whsec_"),
        ("https://ops.example.com/", "whsec_c2hvcnQ=", "24 to 64 bytes"),
        ("https://ops.example.com/", "whsec_???", "must hold whsec_"),
    ],
)
def test_wrong_settings_are_refused_without_telling_them(
    tmp_path: Path, urls: str, secret: str | None, said: str
) -> None:
    file = tmp_path / "secret"
    if secret is not None:
        file.write_text(secret)
    with pytest.raises(Refused, match=said) as refused:
        read_hooks(urls, None if secret is None else file)
    assert "\n" not in str(refused.value)
    assert "hidden" not in str(refused.value)
    assert not secret or secret not in str(refused.value)


def test_a_secret_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read: No such file"):
        read_hooks("https://ops.example.com/", tmp_path / "gone")


def test_plain_http_goes_to_this_machine_alone(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    hooks = read_hooks("http://127.0.0.1:8000/a, https://ops.example.com/b?token=x", tmp_path / "secret")
    assert [hook.origin for hook in hooks] == ["http://127.0.0.1:8000", "https://ops.example.com"]
    assert hooks[0].key == KEY
    assert "token" not in repr(hooks)
