"""One session of a node: asked for under a random id, accepted or refused by its pool, and over at some time."""

import asyncio
import secrets
from collections.abc import Collection

from bus.errors import Fatal
from services.records.node import NodeAccepted, NodeLost, NodeRefused


class NodeUnwanted(Fatal):
    """The pool refuses this node, or another process has joined under its id."""


class NodeSession:
    """Hears what the pool says of it. `past` are the earlier sessions of the same node."""

    def __init__(self, pool: str, node_id: str, past: Collection[str] = ()) -> None:
        loop = asyncio.get_running_loop()
        self.id = secrets.token_hex(12)
        self._pool, self._node_id, self._past = pool, node_id, frozenset(past)
        self._accepted: asyncio.Future[None] = loop.create_future()
        self._over: asyncio.Future[str] = loop.create_future()
        self._unwanted = ""

    @property
    def is_accepted(self) -> bool:
        """Whether it takes part."""
        return self._accepted.done() and not self._over.done()

    @property
    def is_over(self) -> bool:
        """Whether it will take part no more."""
        return self._over.done()

    async def until_over(self) -> str:
        """The reason, once it is over."""
        return await asyncio.shield(self._over)

    def check(self) -> None:
        """Raise NodeUnwanted if the node must not join again."""
        if self._unwanted:
            raise NodeUnwanted(self._unwanted)

    def accept(self, record: NodeAccepted) -> None:
        """The pool accepts a session of some node."""
        if record.pool != self._pool or record.node_id != self._node_id:
            return
        if record.node_session != self.id:
            # Before its own acceptance another session means nothing: whichever comes last stands.
            if self._accepted.done():
                self._displace(record.node_session)
        elif not self._accepted.done():
            self._accepted.set_result(None)

    def _displace(self, session: str) -> None:
        """Another session of this node: a late word of this node's own past, or another process."""
        if session in self._past:
            self.end(f"an earlier session of this node, {session}, was accepted after it")
        else:
            self._forbid(
                f"another process has joined the pool {self._pool} as node {self._node_id}; "
                "give one of the two another node id"
            )

    def refuse(self, record: NodeRefused) -> None:
        """The pool refuses a session of some node."""
        if record.node_session == self.id and record.node_id == self._node_id:
            self._forbid(f"the pool {self._pool} refuses node {self._node_id}: {record.reason}")

    def lose(self, record: NodeLost) -> None:
        """The pool counts a session of some node as lost."""
        if record.node_session == self.id and record.node_id == self._node_id:
            self.end(record.reason or "the pool counts it as lost")

    def end(self, reason: str) -> None:
        """It is over, for a reason that does not keep the node from joining again."""
        if not self.is_over:
            self._over.set_result(reason)

    def _forbid(self, reason: str) -> None:
        self._unwanted = reason
        self.end(reason)
