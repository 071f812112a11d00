"""What a cluster asks of those who open a log on it: TLS, a user, a schema registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bus.errors import Refused

if TYPE_CHECKING:
    from bus.backends.kafka_settings import KafkaSecurity
    from bus.schema_registry import RegistrySettings

OPTIONS = ("tls", "ca_file", "certificate_file", "key_file", "sasl", "user", "registry")
"""What the query of a URL may say; passwords are none of it, since many can read a URL."""

_SAID = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """By default a plain connection without a name, and no registry."""

    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    sasl: str = ""  # PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
    user: str = ""
    password: str = field(default="", repr=False)
    registry: str = ""  # URL of a schema registry
    registry_user: str = ""
    registry_password: str = field(default="", repr=False)
    registry_ca_file: Path | None = None

    def overridden(self, said: Mapping[str, str]) -> Access:
        """With what the query of a URL says; raises Refused for words that mean nothing."""
        return replace(self, **{name: _parse(name, text) for name, text in said.items()})

    def security(self) -> KafkaSecurity:
        """As the Kafka log takes it; raises Refused where it contradicts itself."""
        from bus.backends.kafka_settings import KafkaSecurity

        if self.user and not self.sasl:
            raise Refused(f"the user {self.user!r} is of use only with a SASL mechanism: sasl=SCRAM-SHA-512 or another")
        return KafkaSecurity(
            tls=self.tls,
            ca_file=self.ca_file,
            certificate_file=self.certificate_file,
            key_file=self.key_file,
            sasl_mechanism=self.sasl or None,
            username=self.user or None,
            password=self.password or None,
        )

    def registry_settings(self) -> RegistrySettings | None:
        """As the registry's client takes it; None without a registry."""
        if not self.registry:
            return None
        from bus.schema_registry import RegistrySettings

        return RegistrySettings(
            url=self.registry,
            username=self.registry_user,
            password=self.registry_password,
            ca_file=self.registry_ca_file,
        )


def parse_flag(name: str, text: str) -> bool:
    """A yes or no; raises Refused for anything else."""
    if text.lower() not in _SAID:
        raise Refused(f"{name} is true or false, found {text!r}")
    return _SAID[text.lower()]


def _parse(name: str, text: str) -> Any:
    if name == "tls":
        return parse_flag(name, text)
    return Path(text) if name.endswith("_file") else text
