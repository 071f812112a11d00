"""How to reach a Kafka cluster, and how long to wait for it."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bus.errors import Refused

SASL_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSecurity:
    """TLS and SASL; the default is a plain connection without a name."""

    tls: bool = False
    ca_file: Path | None = None
    """Certificates to trust; the system's when not given."""
    certificate_file: Path | None = None
    key_file: Path | None = None
    sasl_mechanism: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.sasl_mechanism not in (None, *SASL_MECHANISMS):
            raise Refused(f"no SASL mechanism {self.sasl_mechanism!r}; there are {', '.join(SASL_MECHANISMS)}")
        if self.sasl_mechanism and not (self.username and self.password):
            raise Refused(f"SASL {self.sasl_mechanism} needs a user name and a password")
        if not self.tls and (self.ca_file or self.certificate_file or self.key_file):
            raise Refused("certificates are of use only with TLS")

    def options(self) -> dict[str, Any]:
        """What the client library calls it."""
        protocol = ("SASL_" if self.sasl_mechanism else "") + ("SSL" if self.tls else "PLAINTEXT")
        options: dict[str, Any] = {"security_protocol": protocol}
        if self.tls:
            options["ssl_context"] = self._tls_context()
        if self.sasl_mechanism:
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.username
            options["sasl_plain_password"] = self.password
        return options

    def _tls_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.certificate_file:
                context.load_cert_chain(self.certificate_file, self.key_file)
        except OSError as error:
            files = [str(file) for file in (self.ca_file, self.certificate_file, self.key_file) if file]
            raise Refused(f"a TLS file cannot be used, of {', '.join(files)}: {error}") from error
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """One cluster, as all clients of one process see it."""

    bootstrap: str
    security: KafkaSecurity = field(default_factory=KafkaSecurity)
    connect_ms_max: int = 5_000
    """After this long without an answer the cluster is unavailable."""
    append_ms_max: int = 10_000
    """After this long without an acknowledgement an append is unknown."""
    fetch_wait_ms: int = 250
    """How long the broker holds a fetch that finds nothing; a partition just added to a Reader may wait this long."""
    session_ms_max: int = 6_000
    """A member of a group that is silent for this long has lost its partitions."""

    def options(self, request_ms_max: int) -> dict[str, Any]:
        """What every client needs."""
        return {
            "bootstrap_servers": self.bootstrap,
            "request_timeout_ms": request_ms_max,
            **self.security.options(),
        }
