"""Professions that people add: checked, numbered by version, and kept by digest in the blob store."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from immutables import Map

from bus.decider import Draft, Role, fold_by_type
from bus.record import Envelope, Fact
from bus.seen import Seen
from services.definitions.problem import DefinitionInvalid
from services.definitions.profession import Profession
from services.records.event import ProfessionAdded, ProfessionAddRequested, ProfessionRefused
from services.records.permission import find_lack

PROFESSIONS_MAX = 1_000
"""Most professions, however many versions each has."""

REASON_LENGTH_MAX = 2_000
"""Characters of a refusal; a profession may have many faults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """The newest version of a profession."""

    version: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Professions:
    """All professions that were added."""

    newest: Map[str, Newest] = Map()
    seen: Seen = Seen()


def needs(state: Professions, heard: Envelope) -> tuple[str, ...]:
    """The content of a profession that is to be added."""
    record = heard.record
    return (record.digest,) if isinstance(record, ProfessionAddRequested) and heard.id not in state.seen else ()


def decide(draft: Draft[Professions], heard: Envelope) -> None:
    """Add the profession as its next version, or say why not. The newest content again stays the version it is."""
    ask = heard.record
    if not isinstance(ask, ProfessionAddRequested) or heard.id in draft.state.seen:
        return
    if reason := find_lack(ask) or _find_fault(draft, ask):
        draft.add(
            ProfessionRefused(
                profession=ask.profession, digest=ask.digest, ask_id=heard.id, reason=reason[:REASON_LENGTH_MAX]
            )
        )
        return
    newest = draft.state.newest.get(ask.profession, Newest(version=0, digest=""))
    version = newest.version if newest.digest == ask.digest else newest.version + 1
    draft.add(ProfessionAdded(profession=ask.profession, version=version, digest=ask.digest, ask_id=heard.id))


def _find_fault(draft: Draft[Professions], ask: ProfessionAddRequested) -> str:
    content = draft.blobs.get(ask.digest)
    if content is None:
        return f"the blob store has no content {ask.digest}"
    try:
        profession = Profession.from_json(content)
    except DefinitionInvalid as error:
        return str(error)
    if profession.id != ask.profession:
        return f"the content is of the profession `{profession.id}`, not of `{ask.profession}`"
    if ask.profession not in draft.state.newest and len(draft.state.newest) >= PROFESSIONS_MAX:
        return f"there are {PROFESSIONS_MAX} professions, which is the most there may be"
    return ""


def _fold_added(state: Professions, fact: ProfessionAdded, time_ms: int) -> Professions:
    newest = state.newest.set(fact.profession, Newest(version=fact.version, digest=fact.digest))
    return replace(state, newest=newest, seen=state.seen.add(fact.ask_id, time_ms))


def _fold_refused(state: Professions, fact: ProfessionRefused, time_ms: int) -> Professions:
    return replace(state, seen=state.seen.add(fact.ask_id, time_ms))


FOLDS: Mapping[type[Fact], Callable[[Professions, Any, int], Professions]] = {
    ProfessionAdded: _fold_added,
    ProfessionRefused: _fold_refused,
}

evolve = fold_by_type("factory.professions", FOLDS)
"""The professions after one of their facts."""

PROFESSIONS: Role[Professions] = Role(
    name="factory.professions",
    home="event",
    hears=frozenset({ProfessionAddRequested}),
    says=frozenset(FOLDS),
    initial=Professions,
    decide=decide,
    evolve=evolve,
    needs=needs,
)
