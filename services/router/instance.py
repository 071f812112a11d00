"""Instances as the roster knows them, and how each stands against the others of its profession."""

from typing import NamedTuple, TypeAlias

from services.records.content import Terms
from services.records.task import RosterChanged

COMING, READY, DRAINING, GONE = "coming", "ready", "draining", "gone"

LOAD_WEIGHT = 300
"""Most of a score, in thousandths, that comes from free slots."""

SUCCESS_WEIGHT = 300
"""Most of a score, in thousandths, that comes from past success."""

HISTORY_MAX = 64
"""Ends of attempts that count as history; there, both counts are halved, so that the recent ones weigh more."""

TRUST = 4
"""Successes that everybody starts with, so that one early failure does not decide."""

KindKey: TypeAlias = tuple[str, tuple[tuple[str, int], ...]]
"""Agent and sorted skill levels: instances of a profession that are equal in both are of one kind."""


class Instance(NamedTuple):
    """An instance. It has a node session and an incarnation once its worker was ready."""

    instance_id: str
    profession: str
    kind: KindKey
    status: str
    node_id: str
    node_session: str
    incarnation: int
    slots: int
    on_demand: bool
    need_id: str = ""
    terms: Terms | None = None
    attempts: tuple[str, ...] = ()  # those that hold a slot
    succeeded: int = 0
    ended: int = 0

    @property
    def worker(self) -> tuple[str, int]:
        return self.node_session, self.incarnation

    @property
    def is_free(self) -> bool:
        return self.status == READY and len(self.attempts) < self.slots

    @property
    def is_idle(self) -> bool:
        return self.status == READY and not self.attempts


def score_load(instance: Instance) -> int:
    """Thousandths for the free share of its slots."""
    return LOAD_WEIGHT * (instance.slots - len(instance.attempts)) // instance.slots


def score_success(instance: Instance) -> int:
    """Thousandths for the share of its attempts that ended well."""
    return SUCCESS_WEIGHT * (instance.succeeded + TRUST) // (instance.ended + TRUST)


def listing(instance: Instance) -> tuple[int, str]:
    """Sorts the free instances of a kind: the best score first, then by id."""
    return -score_load(instance) - score_success(instance), instance.instance_id


def occupied(instance: Instance, attempt_id: str) -> Instance:
    """With a slot taken by this attempt."""
    return _loaded(instance, (*instance.attempts, attempt_id), instance.succeeded, instance.ended)


def vacated(instance: Instance, attempt_id: str, *, succeeded: bool | None) -> Instance:
    """With the slot of this attempt free again, and its end in the history unless that is None."""
    at = instance.attempts.index(attempt_id)
    attempts = instance.attempts[:at] + instance.attempts[at + 1 :]
    if succeeded is None:
        return _loaded(instance, attempts, instance.succeeded, instance.ended)
    good, ended = instance.succeeded + succeeded, instance.ended + 1
    if ended == HISTORY_MAX:
        good, ended = good // 2, ended // 2
    return _loaded(instance, attempts, good, ended)


def _loaded(instance: Instance, attempts: tuple[str, ...], succeeded: int, ended: int) -> Instance:
    return Instance(*instance[:-3], attempts, succeeded, ended)


def changed(workspace_id: str, instance: Instance, status: str, reason: str) -> RosterChanged:
    """The fact that a known instance has this status from now on."""
    agent, skills = instance.kind
    return RosterChanged(
        workspace_id=workspace_id,
        instance_id=instance.instance_id,
        status=status,
        profession=instance.profession,
        agent=agent,
        node_id=instance.node_id,
        node_session=instance.node_session,
        incarnation=instance.incarnation,
        slots=instance.slots,
        skills=dict(skills),
        on_demand=instance.on_demand,
        reason=reason,
        terms=instance.terms,
    )


def word_on(worker: tuple[str, int]) -> str:
    """What is remembered of an instance that is gone: its last worker."""
    session, incarnation = worker
    return f"{session}/{incarnation}"
