"""Fences: how every reader knows, from the log alone, whose facts count."""

from typing import Any, NamedTuple

from bus.record import ClaimedFence, Origin

_make: Any = tuple.__new__
"""A named tuple from all its values in order, in half the time of its own constructor: there is one for each fact."""


class Fence(NamedTuple):
    """The newest claim of one role on one partition and the next sequence number; `gap` once a number was missing.

    A claim counts only if its epoch is the newest one's plus one. Facts count only under the newest claim and in
    sequence; from a gap on, the rest of that claim is ignored. Whoever reads the same records comes to the same fence.
    """

    session: str = ""
    epoch: int = 0
    seq: int = 0
    gap: bool = False

    def read(self, origin: Origin) -> tuple["Fence", bool]:
        """The fence behind a claim or fact of its role, and whether that record counts."""
        if origin.kind == "claim":
            counts = origin.epoch == self.epoch + 1
            return (Fence(origin.session, origin.epoch) if counts else self), counts
        if origin.session != self.session or origin.epoch != self.epoch or self.gap or not self.epoch:
            return self, False
        if origin.seq != self.seq:
            return Fence(self.session, self.epoch, self.seq, gap=True), False
        return _make(Fence, (self.session, self.epoch, self.seq + 1, False)), True


NO_CLAIM = Fence()


class Fences:
    """The fences of all roles that write one partition, at one position of it."""

    def __init__(self, fences: dict[str, Fence] | None = None) -> None:
        self.by_role: dict[str, Fence] = dict(fences or {})

    def admit(self, origin: Origin) -> bool:
        """Whether a record counts. Asks and reports need no claim; posts are fenced by their addressee."""
        if origin.kind not in ("fact", "claim"):
            return True
        before = self.by_role.get(origin.role, NO_CLAIM)
        fence, counts = before.read(origin)
        if fence is not before:  # a role that nobody claimed is not remembered for what was said in its name
            self.by_role[origin.role] = fence
        return counts

    def copy(self) -> "Fences":
        return Fences(self.by_role)

    def saved(self) -> tuple[ClaimedFence, ...]:
        """As `Heard` keeps them, sorted by role."""
        return tuple(
            ClaimedFence(role=role, session=f.session, epoch=f.epoch, seq=f.seq, gap=f.gap)
            for role, f in sorted(self.by_role.items())
        )

    @classmethod
    def restored(cls, saved: tuple[ClaimedFence, ...]) -> "Fences":
        return cls({f.role: Fence(f.session, f.epoch, f.seq, f.gap) for f in saved})
