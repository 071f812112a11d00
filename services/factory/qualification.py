"""What an instance gets from its profession, which its ask names by digest: skills, its way of thinking, resources."""

from bus.record import Envelope
from services.definitions.problem import DefinitionInvalid
from services.definitions.profession import Profession
from services.definitions.resource_class import RESOURCE_CLASS_DEFAULT, RESOURCE_CLASSES
from services.factory.instances_state import Instances
from services.records.content import Resources, Terms
from services.records.event import InstanceRequested, InstanceRestartRequested, WarmPoolRequested
from services.records.task import InstanceNeeded


class Unqualified(Exception):
    """The profession of an ask cannot be had; the message is a sentence."""


_NAMES = (InstanceRequested, InstanceNeeded, InstanceRestartRequested, WarmPoolRequested)


def needs(state: Instances, heard: Envelope) -> tuple[str, ...]:
    """The profession of an instance that is asked for."""
    record = heard.record
    named = isinstance(record, _NAMES) and record.profession_digest
    return (record.profession_digest,) if named else ()


def find_profession(name: str, digest: str, content: bytes | None) -> Profession | None:
    """The profession; None where the ask names none by digest. Raises Unqualified."""
    if not digest:
        return None
    if content is None:
        raise Unqualified(f"the profession `{name}` ({digest}) is not in the blob store")
    try:
        return Profession.from_json(content)
    except DefinitionInvalid as error:
        raise Unqualified(f"the profession `{name}` cannot be read: {error}") from error


def terms_of(profession: Profession | None) -> Terms | None:
    """What it says of the attempts that its instances are given."""
    if profession is None:
        return None
    config = profession.config
    return Terms(timeout_multiplier=config.timeout_multiplier, quality_threshold=config.quality_threshold)


def resources_of(profession: Profession | None) -> Resources:
    """What an instance gets when nobody says more."""
    return profession.resources if profession else RESOURCE_CLASSES[RESOURCE_CLASS_DEFAULT]
