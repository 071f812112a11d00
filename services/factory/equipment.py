"""What an agent is given besides its inputs: what its profession says, its parameters, its secrets."""

from collections.abc import Mapping
from pathlib import Path

from bus.blobs import BlobStore
from services.definitions.profession import Profession
from services.factory.agents.catalogue import KEYS
from services.factory.profile import THINKING, Profiles, lay_profession, merge_parameters
from services.factory.secrets import Secrets
from services.records.instance import InstanceStarting


class Equipment:
    """Of all instances of a node. `model_url` is the endpoint for agents that take any model, `hosts` those that every
    worker may reach."""

    def __init__(self, blobs: BlobStore, secrets: Secrets, model_url: str, hosts: tuple[str, ...]) -> None:
        self._profiles, self._model_url, self._hosts = Profiles(blobs), model_url, hosts
        self.secrets = secrets

    async def find_profession(self, order: InstanceStarting) -> Profession | None:
        """What an instance needs to know of its profession; a script needs nothing. Raises ProfileMissing."""
        if order.profession_digest or order.agent in THINKING:
            return await self._profiles.find(order.profession, order.profession_digest)
        return None

    def find_hosts(self, profession: Profession | None) -> tuple[str, ...]:
        """The hosts that a worker may reach: those of its node, and those of its profession."""
        own = profession.network.hosts if profession and profession.network else ()
        return tuple(sorted({*self._hosts, *own}))

    async def lay(self, order: InstanceStarting, agent: str, directory: Path) -> Profession | None:
        """Lay the profession down for an attempt of an agent that reads. Raises OSError or ProfileMissing."""
        if agent not in THINKING:
            return await self.find_profession(order)
        profession = await self._profiles.find(order.profession, order.profession_digest)
        if profession:
            lay_profession(profession, directory)
        return profession

    def equip(
        self, parameters: str, order: InstanceStarting, agent: str, profession: Profession | None
    ) -> tuple[str, Mapping[str, str]]:
        """The parameters of an attempt with all that they inherit, and the references of its secrets by variable.
        Raises SecretUnknown."""
        merged = merge_parameters(parameters, profession, order.model, self._model_url, agent)
        return merged, self.secrets.find(merged, KEYS.get(agent, ()))
