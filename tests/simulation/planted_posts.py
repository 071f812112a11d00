"""Planted bugs in posts and their acknowledgement."""

from __future__ import annotations

from typing import Any

from bus.channel import Position
from bus.ledger import Ledger, Peer
from bus.record import Envelope
from bus.session import Session

_init, _settle_post, _restore = Session.__init__, Session._settle_post, Ledger._restore


def _sender(self: Any, envelope: Envelope) -> Peer | None:
    try:
        return self._sender(envelope.origin)  # type: ignore[no-any-return]
    except ValueError:
        return None


def _decide_any(self: Any, envelope: Envelope, at: Position) -> bool:
    """Whatever its number."""
    if (sender := _sender(self, envelope)) is None:
        return _settle_post(self, envelope, at)
    if at.offset > self._recovered.get(at.channel, -1) and not self._decide(envelope):
        return False
    self.ledger.received[sender] = max(self.ledger.received.get(sender, 0), envelope.origin.seq + 1)
    self._acknowledgements.append((self._outbox.staged_seq, sender, self.ledger.received[sender]))
    return True


def _decide_higher(self: Any, envelope: Envelope, at: Position) -> bool:
    """A post that is not the next one counts all the same, and those that it overtook are lower from then on."""
    if (sender := _sender(self, envelope)) and envelope.origin.seq > self.ledger.received.get(sender, 0):
        self.ledger.received[sender] = envelope.origin.seq
    return _settle_post(self, envelope, at)


def _acknowledge_ignored(self: Any, envelope: Envelope, at: Position) -> bool:
    if (sender := _sender(self, envelope)) and envelope.origin.seq > self.ledger.received.get(sender, 0):
        self._acknowledgements.append((-1, sender, envelope.origin.seq + 1))
        return True
    return _settle_post(self, envelope, at)


def _go_live_silently(self: Session) -> None:
    self.live = True
    self.wake()


def _init_numbering_anew(self: Any, *args: Any, **kwargs: Any) -> None:
    _init(self, *args, **kwargs)
    self.ledger._numbers = {}


def _restore_nothing_received(self: Any, heard: Any) -> None:
    received = self.received
    _restore(self, heard)
    self.received = received


BUGS: dict[str, tuple[str, str, Any]] = {
    "post_any_number": (
        "the addressee ignores the numbers of posts",
        "I1 I2",
        lambda: ((Session, "_settle_post", _decide_any),),
    ),
    "post_higher": (
        "the addressee takes a post that is not the next one",
        "I1 I4",
        lambda: ((Session, "_settle_post", _decide_higher),),
    ),
    "post_not_repeated": (
        "a new owner does not repeat the posts that may be lost",
        "I1",
        lambda: ((Session, "go_live", _go_live_silently),),
    ),
    "post_numbers_anew": (
        "a new owner numbers its posts from zero",
        "I1",
        lambda: ((Session, "__init__", _init_numbering_anew),),
    ),
    "post_ignored_acknowledged": (
        "posts are acknowledged that were ignored",
        "I1",
        lambda: ((Session, "_settle_post", _acknowledge_ignored),),
    ),
    "received_not_restored": (
        "what `Heard` says of posts received is not taken up",
        "I1",
        lambda: ((Ledger, "_restore", _restore_nothing_received),),
    ),
}
