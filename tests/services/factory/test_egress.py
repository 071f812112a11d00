"""Workers without a network reach the hosts on their list through the node's proxy, and nothing else."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from services.definitions.profession import Network, Profession, Skill, Wording
from services.factory.background import Background
from services.factory.drivers.bubblewrap import find_absence
from services.factory.egress import EgressProxy, Refusal, is_listed, read_target
from services.records.node import WorkerStarted
from services.records.task import TaskCompleted
from tests.services.factory.agents.endpoint import say, serving
from tests.services.factory.world import World

BUBBLEWRAP_ABSENCE = find_absence()
needs_bubblewrap = pytest.mark.skipif(bool(BUBBLEWRAP_ABSENCE), reason=BUBBLEWRAP_ABSENCE)


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        seen = json.dumps({"path": self.path, "headers": dict(self.headers.items())}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(seen)))
        self.end_headers()
        self.wfile.write(seen)


@contextmanager
def site() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class Proxy:
    """One proxy, spoken to over its socket."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def ask(self, *pieces: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(sock=self._connect())
        writer.write(b"".join(pieces))
        await writer.drain()
        answer = await asyncio.wait_for(reader.read(), 120)
        writer.close()
        return answer

    def _connect(self) -> socket.socket:
        end = socket.socket(socket.AF_UNIX)
        end.connect(str(self._directory / "egress.sock"))
        end.setblocking(False)
        return end


@pytest.fixture
async def allowed() -> AsyncIterator[int]:
    with site() as port:
        yield port


@pytest.fixture
async def proxy(tmp_path: Path, allowed: int) -> AsyncIterator[Proxy]:
    background = Background()
    made = EgressProxy("i1.1", [f"127.0.0.1:{allowed}", "*.example.invalid:443"], background)
    await made.start(tmp_path)
    yield Proxy(tmp_path)
    made.close()
    await background.close()


async def test_a_request_to_a_listed_host_is_passed_on_without_what_is_for_the_proxy(
    proxy: Proxy, allowed: int
) -> None:
    answer = await proxy.ask(
        f"GET http://127.0.0.1:{allowed}/a/b?c=d HTTP/1.1\r\nHost: 127.0.0.1:{allowed}\r\n".encode(),
        b"Proxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\nX-Mine: 1\r\n\r\n",
    )
    seen = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert seen["path"] == "/a/b?c=d"
    assert set(seen["headers"]) == {"Host", "X-Mine", "Connection"}


async def test_a_tunnel_to_a_listed_host_carries_anything(proxy: Proxy, allowed: int) -> None:
    tunnel = f"CONNECT 127.0.0.1:{allowed} HTTP/1.1\r\n\r\n".encode()
    answer = await proxy.ask(tunnel, b"GET /inside HTTP/1.0\r\n\r\n")
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head == b"HTTP/1.1 200 Connection established"
    assert b'"path": "/inside"' in rest


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        (b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n", b"403", "127.0.0.1:1 is none of the hosts"),
        (b"CONNECT localhost:{port} HTTP/1.1\r\n\r\n", b"403", "localhost:"),
        (b"GET http://example.invalid:443/ HTTP/1.1\r\n\r\n", b"403", "example.invalid:443 is none"),
        (b"GET http://127.0.0.1/ HTTP/1.1\r\n\r\n", b"403", "127.0.0.1:80 is none"),
        (b"CONNECT a.example.invalid:443 HTTP/1.1\r\n\r\n", b"502", "cannot be reached"),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"400", "no address"),
        (b"GET file:///etc/passwd HTTP/1.1\r\n\r\n", b"400", "no address"),
        (b"CONNECT 127.0.0.1 HTTP/1.1\r\n\r\n", b"400", "names no host and port"),
        (b"CONNECT 127.0.0.1:99999 HTTP/1.1\r\n\r\n", b"400", "names no host and port"),
        (b"\x16\x03\x01\r\n\r\n", b"400", "no request to a proxy"),
        (b"GET http://127.0.0.1/ HTTP/2\r\n\r\n", b"505", "HTTP/1.1"),
        (b"GET http://127.0.0.1/" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"431", "too long"),
    ],
)
async def test_everything_else_is_refused_with_its_reason_in_the_log(
    proxy: Proxy, allowed: int, request_: bytes, status: bytes, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await proxy.ask(request_.replace(b"{port}", str(allowed).encode()))
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert words in answer.decode()
    assert any("worker i1.1" in each and words in each for each in caplog.messages)


@pytest.mark.parametrize(
    ("host", "listed"),
    [
        ("api.example.com", True),
        ("API.Example.com.", True),
        ("a.b.example.org", True),
        ("example.org", False),
        ("badexample.org", False),
        ("api.example.com.evil.net", False),
    ],
)
def test_names_are_compared_whole(host: str, listed: bool) -> None:
    assert is_listed(host, 443, {"api.example.com:443", "*.example.org:443"}) is listed
    assert not is_listed(host, 80, {"api.example.com:443", "*.example.org:443"})


def test_a_name_before_an_at_sign_is_no_host() -> None:
    assert read_target(b"GET http://api.example.com:443@evil.net/ HTTP/1.1\r\n\r\n").host == "evil.net"
    with pytest.raises(Refusal):
        read_target(b"GET http:///x HTTP/1.1\r\n\r\n")


PROGRAM = """
import json, socket, sys, urllib.error, urllib.request
def get(url):
    try:
        return urllib.request.urlopen(url, timeout=20).status
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"
    except OSError as error:
        return f"failed: {error}"
def connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        return "connected"
    except OSError as error:
        return "refused"
good, bad = int(sys.argv[1]), int(sys.argv[2])
print(json.dumps({"ok": True, "result": {
    "good": get(f"http://127.0.0.1:{good}/"), "bad": get(f"http://127.0.0.1:{bad}/"),
    "straight": [connect(good), connect(bad)],
}}))
"""


async def profession_with(world: World, *hosts: str, **fields: Any) -> str:
    profession = Profession(
        id="caller",
        name=Wording(en="Caller"),
        skills=(Skill(name="calling", level=5),),
        network=Network(hosts=hosts),
        **fields,
    )
    return await world.blobs.put(profession.to_json())


@needs_bubblewrap
async def test_a_worker_in_a_sandbox_reaches_the_hosts_of_its_profession_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as stack:
        good, bad = stack.enter_context(site()), stack.enter_context(site())
        async with World.open(tmp_path) as world, world.node():
            digest = await profession_with(world, f"127.0.0.1:{good}")
            order = await world.start(
                agent="command", driver="bubblewrap", profession="caller", profession_digest=digest
            )
            assert f"network=127.0.0.1:{good}" in (await world.first(WorkerStarted)).limits
            command = [sys.executable, "-I", "-c", PROGRAM, str(good), str(bad)]
            assigned = await world.assign(order, parameters={"command": command}, outputs=())
            end = await world.end_of(assigned, timeout_s=60)
            assert isinstance(end, TaskCompleted), end
            result = json.loads(end.result)
            assert result["good"] == 200
            assert result["bad"].startswith(f"403 127.0.0.1:{bad} is none of the hosts that it may reach")
            assert result["straight"] == ["refused", "refused"]
            assert any(f"127.0.0.1:{bad} is none of the hosts" in each for each in caplog.messages)


@needs_bubblewrap
async def test_without_a_list_there_is_no_way_out(tmp_path: Path) -> None:
    with site() as port:
        async with World.open(tmp_path) as world, world.node():
            order = await world.start(agent="command", driver="bubblewrap")
            assert "network=none" in (await world.first(WorkerStarted)).limits
            command = [sys.executable, "-I", "-c", PROGRAM, str(port), str(port)]
            assigned = await world.assign(order, parameters={"command": command}, outputs=())
            end = await world.end_of(assigned, timeout_s=60)
            assert isinstance(end, TaskCompleted), end
            assert json.loads(end.result)["good"].startswith("failed")
            assert json.loads(end.result)["straight"] == ["refused", "refused"]


@needs_bubblewrap
async def test_a_model_is_called_out_of_a_sandbox(tmp_path: Path) -> None:
    pytest.importorskip("openai", reason="the extra `model` is not installed")
    with serving(say("from far away")) as endpoint:
        host = f"127.0.0.1:{endpoint.port}"
        async with World.open(tmp_path) as world, world.node(hosts=(host,), model_url=endpoint.url):
            digest = await profession_with(
                world, agent="model", parameters={"model": "m1"}, instructions=Wording(en="Call with care.")
            )
            order = await world.start(agent="", driver="bubblewrap", profession="caller", profession_digest=digest)
            assigned = await world.assign(order, instructions="Say something.")
            end = await world.end_of(assigned, timeout_s=60)
        assert isinstance(end, TaskCompleted), end
        assert (
            end.outputs[0].inline == b"from far away"
            or {o.name: o.inline for o in end.outputs}["out"] == b"from far away"
        )
        assert (end.usage.input_tokens, end.usage.output_tokens) == (100, 7)
        body = endpoint.requests[0].body
        assert body["model"] == "m1"
        assert "Call with care." in body["messages"][0]["content"]
