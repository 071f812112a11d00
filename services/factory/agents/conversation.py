"""Messages of any program: it prints those that it sends, and finds those that come in a file.

stdout          {"message": {"to": …, "type": …, "payload": …, …}}      {"ack": MESSAGE_ID}
messages.jsonl  one line for each message that came, appended while the program runs; it is there from the start
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.factory.agents.mailbox import Mailbox, MessageBroken

MESSAGES = "messages.jsonl"
"""Name in the attempt's directory of the file with the messages that came."""

_STARTS = (b'{"message"', b'{"ack"')


class Conversation:
    """What a program prints about messages, and the file that it reads them from."""

    def __init__(self, mailbox: Mailbox, progress: Callable[[str], None]) -> None:
        self._mailbox, self._progress = mailbox, progress
        self._path = Path(MESSAGES)

    def open(self, directory: Path) -> None:
        """Make the file in the attempt's directory; raises OSError."""
        self._path = directory / MESSAGES
        self._path.touch()

    def hear(self, line: bytes) -> bool:
        """Whether a line was a message or an acknowledgement; what is wrong with it is told as progress."""
        if not line.lstrip().startswith(_STARTS):
            return False
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return False
        if len(found) != 1:
            return False
        try:
            self._act(found)
        except MessageBroken as error:
            self._progress(f"message refused: {error}")
        return True

    def _act(self, found: dict[str, Any]) -> None:
        if "message" in found:
            self._mailbox.send(found["message"])
        elif isinstance(found["ack"], str):
            self._mailbox.acknowledge(found["ack"])
        else:
            raise MessageBroken('"ack" must be the id of a message that came')

    async def write(self) -> None:
        """Append what comes, until cancelled."""
        while True:
            letter = await self._mailbox.take()
            line = json.dumps(letter, ensure_ascii=False, separators=(",", ":")) + "\n"
            try:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(line)
            except OSError as error:
                self._progress(f"message {letter['message_id']} cannot be written down: {error.strerror}")
