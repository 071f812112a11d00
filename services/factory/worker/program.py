"""The program that a worker process runs: works on attempts as its node hands them over, until the node is gone."""

import asyncio
import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from services.factory.agents.catalogue import make_agents
from services.factory.agents.child import has_children, reap_orphans
from services.factory.agents.envelope import write_envelope
from services.factory.agents.mailbox import Mailbox
from services.factory.agents.port import Assignment, Outcome, Output, Talker, failed
from services.factory.worker.forwarding import start_forwarding
from services.factory.worker.frames import (
    FRAME_BYTES_MAX,
    TEXTS_BYTES_MAX,
    read_assignment,
    read_frame,
    write_frame,
)
from services.factory.worker.liaison import NodeLiaison
from services.factory.worker.line_rate import LineRate
from services.factory.worker.parentage import adopt_orphans
from services.factory.worker.process_tree import Process, find_descendants, kill_all

UNSENT_BYTES_MAX = 1024 * 1024
"""Lines are left out while so much waits for the node."""

KILL_WITHIN_S = 1.0


def run_worker(end: socket.socket, direct: str | None = None) -> int:
    """Be a worker on this socket; returns the exit code. Unless `direct` is None, programs are to reach all hosts but
    those through the proxy of the node."""
    adopt_orphans()
    asyncio.run(_serve(end, direct))
    return 0


async def _serve(end: socket.socket, direct: str | None) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=end, limit=FRAME_BYTES_MAX)
    worker = Worker(writer, "" if direct is None else await start_forwarding(), direct or "")
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, reader.feed_eof)
    worker.tell(hello=os.getpid())
    async for line in reader:
        if not worker.hear(read_frame(line)):
            break
        await asyncio.sleep(0)  # what was just begun has started before it can be stopped
    await worker.close()


class Worker:
    """The attempts under way in this process."""

    def __init__(self, writer: asyncio.StreamWriter, proxy: str, direct: str) -> None:
        self._writer, self._proxy, self._direct = writer, proxy, direct
        self._children: set[int] = set()
        self._liaison = NodeLiaison(self.tell)
        self._agents = make_agents(self._children, self._liaison)
        self._attempts: dict[str, asyncio.Task[None]] = {}
        self._stops: dict[str, str] = {}
        self._mailboxes: dict[str, Mailbox] = {}
        self._is_closing = False

    def tell(self, **message: object) -> None:
        """Send a frame to the node."""
        self._writer.write(write_frame(message))

    def hear(self, message: Mapping[str, Any]) -> bool:
        """Do what the node says; False when that is to end."""
        if "letter" in message:
            if mailbox := self._mailboxes.get(message["attempt"]):
                mailbox.put(message["letter"])
        elif "ping" in message:
            reap_orphans(self._children)
            self.tell(pong=message["ping"])
        elif "attempt" in message:
            assignment = replace(read_assignment(message["attempt"]), proxy=self._proxy, direct=self._direct)
            self._mailboxes[assignment.attempt_id] = self._open_mailbox(assignment.attempt_id)
            self._attempts[assignment.attempt_id] = asyncio.create_task(self._attempt(assignment))
        elif "admitted" in message:
            self._liaison.admitted(message["admitted"])
        elif "stop" in message:
            self._stop(message["stop"], message["code"])
        return "end" not in message

    def _open_mailbox(self, attempt_id: str) -> Mailbox:
        return Mailbox(
            send=lambda draft: self.tell(send=draft, attempt=attempt_id),
            received=lambda message_id: self.tell(received=message_id, attempt=attempt_id),
        )

    def _stop(self, attempt_id: str, code: str) -> None:
        if (task := self._attempts.get(attempt_id)) and attempt_id not in self._stops:
            self._stops[attempt_id] = code
            task.cancel()

    async def _attempt(self, assignment: Assignment) -> None:
        attempt_id = assignment.attempt_id
        try:
            outcome = await self._work(assignment)
        except asyncio.CancelledError:
            outcome = failed("the attempt was stopped", code=self._stops.get(attempt_id, "worker_lost"))
        del self._attempts[attempt_id]
        del self._mailboxes[attempt_id]
        self._stops.pop(attempt_id, None)
        if not self._attempts:
            self._end_all_below()
        if self._is_closing:
            return  # the node says what became of it
        outcome = spill(outcome, Path(assignment.directory))
        self.tell(ended=attempt_id, code=outcome.code, envelope=write_envelope(outcome))

    async def _work(self, assignment: Assignment) -> Outcome:
        agent = self._agents.get(assignment.agent)
        if agent is None:
            return failed(f"there is no agent {assignment.agent!r}; there are: {', '.join(sorted(self._agents))}")
        rate = LineRate()

        def progress(line: str) -> None:
            if rate.take() and self._writer.transport.get_write_buffer_size() < UNSENT_BYTES_MAX:
                self.tell(line=line, attempt=assignment.attempt_id)

        try:
            if isinstance(agent, Talker):
                return await agent.talk(assignment, progress, self._mailboxes[assignment.attempt_id])
            return await agent.run(assignment, progress)
        except Exception as error:  # noqa: BLE001 -- a fault of an agent ends its attempt, and is told as its reason
            return failed(f"the agent {assignment.agent} failed: {type(error).__name__}: {error}")
        finally:
            if rate.left_out:
                self.tell(line=f"… {rate.left_out} lines left out", attempt=assignment.attempt_id)

    def _end_all_below(self) -> None:
        """With no attempt under way, nothing that an attempt started may run on."""
        if has_children():
            kill_all(_all_below, reap=lambda: reap_orphans(self._children), within_s=KILL_WITHIN_S)

    async def close(self) -> None:
        """Stop every attempt and whatever they started."""
        self._is_closing = True
        tasks = list(self._attempts.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._end_all_below()


def _all_below(table: Mapping[int, Process]) -> set[int]:
    return find_descendants([os.getpid()], table)


def spill(outcome: Outcome, directory: Path) -> Outcome:
    """The outcome with texts that are too much for a frame written to files instead."""
    left, outputs = TEXTS_BYTES_MAX, {}
    for number, (name, output) in enumerate(outcome.outputs.items()):
        length = len((output.text or "").encode())
        if length <= left:
            left -= length
            outputs[name] = output
        else:
            place = directory / "texts" / str(number)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(output.text or "", encoding="utf-8", newline="")
            outputs[name] = Output(path=str(place), media_type=output.media_type or "text/plain")
    return replace(outcome, outputs=outputs)
