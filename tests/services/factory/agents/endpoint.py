"""A model endpoint of our own on the loopback: it streams as the published API says, and breaks on demand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        act = self.server.endpoint.take(
            Request(self.path, dict(self.headers.items()), json.loads(raw), time.monotonic())
        )
        self.close_connection = True
        try:
            act(self)
        except (BrokenPipeError, ConnectionResetError):
            return

    def answer(self, status: int, body: Mapping[str, Any], **headers: str) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def stream(self, pieces: Sequence[str], pause_s: float = 0) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(f"data: {piece}\n\n".encode())
            self.wfile.flush()
            self.server.endpoint.closing.wait(pause_s)


Act = Callable[[Handler], None]


@dataclass(frozen=True, slots=True)
class Request:
    """As it came in."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    at: float


class Server(ThreadingHTTPServer):
    """Knows its endpoint."""

    daemon_threads = True
    request_queue_size = 128
    endpoint: Endpoint


@dataclass(slots=True)
class Endpoint:
    """Does what it is told, request by request; told nothing more, it says that it is done."""

    port: int = 0
    acts: list[Act] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    otherwise: Callable[[Request], Act] = field(default=lambda _: say("done"))
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def take(self, request: Request) -> Act:
        with self.lock:
            self.requests.append(request)
            return self.acts.pop(0) if self.acts else self.otherwise(request)


@contextmanager
def serving(*acts: Act) -> Iterator[Endpoint]:
    server = Server(("127.0.0.1", 0), Handler)
    server.endpoint = endpoint = Endpoint(port=server.server_address[1], acts=list(acts))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


def chunk(delta: Mapping[str, Any], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return json.dumps({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})


def usage() -> str:
    body = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": USAGE}
    return json.dumps(body)


def words(text: str) -> list[str]:
    half = len(text) // 2
    pieces = [{"role": "assistant", "content": ""}, {"content": text[:half]}, {"content": text[half:]}]
    return [chunk(piece) for piece in pieces]


def say(text: str, finish: str = "stop", pause_s: float = 0) -> Act:
    pieces = [*words(text), chunk({}, finish), usage(), "[DONE]"]
    return lambda handler: handler.stream(pieces, pause_s)


def call(*calls: tuple[str, str]) -> Act:
    """Calls of tools, their arguments in two pieces each."""
    pieces = [chunk({"role": "assistant", "content": None})]
    for index, (name, arguments) in enumerate(calls):
        half = len(arguments) // 2
        head = {"index": index, "id": f"call-{index}", "type": "function"}
        pieces.append(chunk({"tool_calls": [{**head, "function": {"name": name, "arguments": arguments[:half]}}]}))
        pieces.append(chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments[half:]}}]}))
    pieces += [chunk({}, "tool_calls"), usage(), "[DONE]"]
    return lambda handler: handler.stream(pieces)


def refuse(status: int, message: str = "no", code: str = "", **headers: str) -> Act:
    body = {"error": {"message": message, "type": "error", "code": code or None}}
    return lambda handler: handler.answer(status, body, **headers)


def cut(text: str) -> Act:
    """The stream ends in the middle."""
    return lambda handler: handler.stream(words(text))


def garble() -> Act:
    return lambda handler: handler.stream([chunk({"content": "a"}), "{not json"])


def hang(seconds: float) -> Act:
    return lambda handler: handler.stream([chunk({"content": "thinking …"})], seconds)
