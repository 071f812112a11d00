"""The state of the roster: for each workspace its instances, its attempts and the crews of its professions."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from immutables import Map

from bus.deadline import Deadlines
from services.records.content import Work
from services.records.task import Pick
from services.router.crew import NOBODY, Crew, joined, left, relisted
from services.router.instance import Instance
from services.router.queue import Place, queued, unqueued

REMEMBERED_MAX = 5_000
"""Ended attempts and gone instances that a workspace remembers at least, so that none is taken for a new one."""

OPEN, LOST, CANCELLED = "open", "lost", "cancelled"


class Waiting(NamedTuple):
    """An attempt without an instance, in the queue of each profession that may do it."""

    task_id: str
    work: Work
    place: Place
    pick: Pick | None = None

    @property
    def professions(self) -> tuple[str, ...]:
        return (self.work.profession,) if self.work.profession else tuple(sorted(self.work.professions))


class Doubted(NamedTuple):
    """An attempt of which somebody has to say what profession should do it."""

    task_id: str
    work: Work
    pick: Pick
    choices: tuple[str, ...]


class Assigned(NamedTuple):
    """An attempt that holds a slot; one that is lost or cancelled holds it until its node says that it has ended."""

    task_id: str
    run_id: str
    instance_id: str
    node_id: str
    node_session: str
    incarnation: int
    status: str  # open, lost, cancelled


class Doomed(NamedTuple):
    """An attempt that is lost but of which that has yet to be said."""

    task_id: str
    run_id: str
    instance_id: str
    code: str
    reason: str


Attempt: TypeAlias = Waiting | Doubted | Assigned | Doomed


class Roster(NamedTuple):
    """One workspace."""

    instances: Map[str, Instance] = Map()
    attempts: Map[str, Attempt] = Map()
    crews: Map[str, Crew] = Map()
    waiting: int = 0  # tasks, those in doubt too
    arrivals: int = 0  # of waiting tasks, ever
    doomed: tuple[str, ...] = ()  # attempts, in the order in which their loss is said
    said: int = 0  # of those
    budgeted: bool = False  # attempts start on their first tranche
    recent: Map[str, str] = Map()  # what is over, with a word on it; when it is full it becomes the older one
    older: Map[str, str] = Map()

    def crew(self, profession: str) -> Crew:
        return self.crews.get(profession, NOBODY)

    def holder(self, attempt_id: str) -> Instance | None:
        """The instance of which this attempt holds a slot."""
        attempt = self.attempts.get(attempt_id)
        return self.instances[attempt.instance_id] if isinstance(attempt, Assigned) else None

    def knows(self, attempt_id: str) -> bool:
        return attempt_id in self.attempts or attempt_id in self.recent or attempt_id in self.older

    def memory(self, what: str) -> str | None:
        """What is remembered of something that is over."""
        return self.recent.get(what, self.older.get(what))


EMPTY = Roster()


class Rosters(NamedTuple):
    """A partition: its workspaces, and the deadlines of them all."""

    workspaces: Map[str, Roster] = Map()
    deadlines: Deadlines = Deadlines()

    def of(self, workspace_id: str) -> Roster:
        return self.workspaces.get(workspace_id, EMPTY)


def remembered(roster: Roster, what: str, word: str = "") -> Roster:
    """With this attempt or instance among those that are over."""
    if len(roster.recent) < REMEMBERED_MAX:
        return Roster(*roster[:-2], roster.recent.set(what, word), roster.older)
    return Roster(*roster[:-2], Map({what: word}), roster.recent)


def with_crew(roster: Roster, profession: str, crew: Crew) -> Roster:
    if crew.is_empty:
        return roster._replace(crews=roster.crews.delete(profession)) if profession in roster.crews else roster
    return Roster(roster.instances, roster.attempts, roster.crews.set(profession, crew), *roster[3:])


def with_load(roster: Roster, after: Instance, attempts: Map[str, Attempt]) -> Roster:
    """With these attempts, and an instance of which only load and history have changed."""
    name, profession = after.instance_id, after.profession
    crew = relisted(roster.crew(profession), roster.instances[name], after)
    return Roster(roster.instances.set(name, after), attempts, roster.crews.set(profession, crew), *roster[3:])


def with_member(roster: Roster, instance: Instance) -> Roster:
    """With an instance that is new or has changed in any way."""
    roster = without_member(roster, instance.instance_id)
    crew = joined(roster.crew(instance.profession), instance)
    roster = with_crew(roster, instance.profession, crew)
    return roster._replace(instances=roster.instances.set(instance.instance_id, instance))


def without_member(roster: Roster, instance_id: str) -> Roster:
    """Without an instance; it need not be there."""
    before = roster.instances.get(instance_id)
    if before is None:
        return roster
    roster = with_crew(roster, before.profession, left(roster.crew(before.profession), before))
    return roster._replace(instances=roster.instances.delete(instance_id))


def with_waiting(roster: Roster, attempt_id: str, waiting: Waiting) -> Roster:
    for profession in waiting.professions:
        crew = roster.crew(profession)
        crew = crew._replace(demands=queued(crew.demands, attempt_id, waiting.place))
        roster = with_crew(roster, profession, crew)
    attempts = roster.attempts.set(attempt_id, waiting)
    return roster._replace(attempts=attempts, waiting=roster.waiting + 1, arrivals=roster.arrivals + 1)


def without_waiting(roster: Roster, attempt_id: str, waiting: Waiting) -> Roster:
    """Without an attempt in the queue; it stays among the attempts."""
    for profession in waiting.professions:
        crew = roster.crew(profession)
        crew = crew._replace(demands=unqueued(crew.demands, attempt_id, waiting.place))
        roster = with_crew(roster, profession, crew)
    return roster._replace(waiting=roster.waiting - 1)


def with_doubted(roster: Roster, attempt_id: str, doubted: Doubted) -> Roster:
    return roster._replace(attempts=roster.attempts.set(attempt_id, doubted), waiting=roster.waiting + 1)


def without_doubted(roster: Roster) -> Roster:
    """Without an attempt in doubt; it stays among the attempts."""
    return roster._replace(waiting=roster.waiting - 1)


def without_attempt(roster: Roster, attempt_id: str) -> Roster:
    """Without an attempt that is over."""
    return remembered(roster._replace(attempts=roster.attempts.delete(attempt_id)), attempt_id)


def with_doomed(roster: Roster, doomed: Mapping[str, Doomed]) -> Roster:
    """With attempts whose loss has yet to be said, in this order; they wait no more and hold no slot."""
    return roster._replace(attempts=roster.attempts.update(doomed), doomed=(*roster.doomed, *doomed))


def mourned(roster: Roster, attempt_id: str) -> Roster:
    """With the loss of the next doomed attempt said."""
    if roster.said + 1 == len(roster.doomed):
        return without_attempt(roster._replace(doomed=(), said=0), attempt_id)
    return without_attempt(roster._replace(said=roster.said + 1), attempt_id)
