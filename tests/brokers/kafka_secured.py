"""A Kafka broker that lets nobody in without TLS and a user's password, as a Java process."""

import secrets
import socket
import ssl
import struct
from dataclasses import dataclass, field
from pathlib import Path

from tests.brokers.certificates import Certificates
from tests.brokers.kafka_process import KafkaProcess
from tests.brokers.loopback import HOST

MODULE = "org.apache.kafka.common.security"
PROPERTIES = """\
ssl.keystore.type=PKCS12
ssl.keystore.location={store}
ssl.keystore.password={store_password}
ssl.truststore.type=PKCS12
ssl.truststore.location={store}
ssl.truststore.password={store_password}
sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required \
username="broker" password="{password}";
listener.name.sasl_ssl.plain.sasl.jaas.config={module}.plain.PlainLoginModule required \
username="broker" password="{password}" user_{user}="{password}";
"""

API_VERSIONS_KEY = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    """How clients reach a secured broker."""

    bootstrap: str
    authority: Path  # the certificate to trust
    user: str
    password: str = field(repr=False)

    @property
    def query(self) -> str:
        """All but the password, as the query of a URL."""
        return f"tls=true&ca_file={self.authority}&sasl=SCRAM-SHA-512&user={self.user}"


class SecuredKafkaProcess(KafkaProcess):
    """One broker with a certificate of its own and one user, for SCRAM-SHA-512 and for PLAIN."""

    protocol = "SASL_SSL"
    user = "clawx"

    def __init__(self, jars: Path, home: Path) -> None:
        super().__init__(jars, home)
        self._password = secrets.token_hex(16)
        self._store_password = secrets.token_hex(16)
        self._certificates = Certificates(home, self._store_password)
        self._certificates.make()

    @property
    def clients(self) -> Secured:
        """What clients must know; to be asked for once the broker was started."""
        return Secured(
            bootstrap=self.bootstrap, authority=self._certificates.authority, user=self.user, password=self._password
        )

    def _further_properties(self) -> str:
        return PROPERTIES.format(
            store=self._certificates.store,
            store_password=self._store_password,
            module=MODULE,
            user=self.user,
            password=self._password,
        )

    def _format_options(self) -> list[str]:
        users = (self.user, "broker")
        return [
            part for user in users for part in ("--add-scram", f"SCRAM-SHA-512=[name={user},password={self._password}]")
        ]

    def _serves(self) -> bool:
        """Whether it greets whoever comes by TLS; it does so only once it knows its users."""
        context = ssl.create_default_context(cafile=self._certificates.authority)
        try:
            with (
                socket.create_connection((HOST, self.port), timeout=5) as plain,
                context.wrap_socket(plain, server_hostname=HOST) as connection,
            ):
                connection.sendall(_greeting())
                return bool(connection.recv(4))
        except OSError:
            return False


def _greeting() -> bytes:
    body = struct.pack(">hhih", API_VERSIONS_KEY, 0, 1, -1)
    return struct.pack(">i", len(body)) + body
