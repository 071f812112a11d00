"""Settings of a process: read once from the environment and the command line into one frozen value."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from bus.access import Access, parse_flag
from bus.channel import NAMESPACE_DEFAULT, PARTITIONS_DEFAULT
from bus.errors import Refused

PREFIX = "CLAWX_"
OF_TESTS = "CLAWX_TEST_"
"""Variables with this prefix are read by the tests alone."""


def _home() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "clawx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Each field is the environment variable CLAWX_ and its name in capitals; the command line overrides them."""

    bus: str = ""  # sqlite:///PATH or kafka://HOST:PORT[,…]; empty: the embedded log in `data`
    data: Path = field(default_factory=_home)  # logs, blobs, keys and nodes live below it
    blobs: Path | None = None  # shared by all processes of a system; by default below `data`
    namespace: str = NAMESPACE_DEFAULT
    partitions: int = PARTITIONS_DEFAULT  # of a namespace that is still to be made
    pool: str = "default"
    node: str = field(default_factory=socket.gethostname)
    gpus: int = 0  # that a node on this machine offers
    cpu_overcommit: int = 8  # how often a node promises each of its cores
    memory_overcommit: int = 2
    storage_overcommit: int = 16  # how often it promises each byte that is free; a quota is a ceiling, few come near it
    own_users: int = (
        0  # 1: each worker of a node that runs as root gets a user of its own, and no more may read root's files
    )
    docker_image: str = ""  # that workers in containers run in; it has a Python of our age
    secrets: str = ""  # names of variables and paths of files, with commas between, that this node's agents may get
    worker_hosts: str = ""  # NAME:PORT, with commas between, that workers in a sandbox may reach on this node
    model_url: str = ""  # of the OpenAI-compatible endpoint that agents call unless they are told another one
    webhooks: str = field(default="", repr=False)  # URLs, with commas between, that get alarms; may hold tokens
    webhook_secret_file: Path | None = None  # with `whsec_` and base64, which alarms are signed with
    required_limits: str = ""  # layers, with commas between, without which this node starts no worker
    host: str = "127.0.0.1"  # of the gateway
    port: int = 7420
    hosts: str = ""  # names, with ports, under which the gateway may be called besides its own address
    origins: str = ""  # of web pages that may call it besides its own, such as https://example.org
    oidc_issuer: str = ""  # URL of an OpenID provider whose tokens open the gateway, too
    oidc_audience: str = ""  # whom they must be made for
    oidc_claim: str = "clawx"  # lists what their holder is: ROLE, WORKSPACE/ROLE, role:TITLE, profession:ID
    oidc_ca_file: Path | None = None
    database: str = field(default="", repr=False)  # of the audit: postgresql://USER@HOST/NAME or sqlite:///PATH
    key: str = ""  # of the gateway; otherwise kept in `data`
    server: str = ""  # URL of a running gateway
    kafka_tls: bool = False
    kafka_ca_file: Path | None = None  # certificates to trust; the system's if not given
    kafka_certificate_file: Path | None = None  # our own, where brokers ask for one
    kafka_key_file: Path | None = None
    kafka_sasl: str = ""  # PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
    kafka_user: str = ""
    kafka_password: str = field(default="", repr=False)
    kafka_password_file: Path | None = None  # read instead
    registry: str = ""  # URL of a schema registry, for Kafka logs
    registry_user: str = ""
    registry_password: str = field(default="", repr=False)
    registry_password_file: Path | None = None
    registry_ca_file: Path | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str], **given: object) -> Settings:
        """From the environment, overridden by what was given and is not None. Raises Refused naming the variable."""
        kinds = {f.name: f for f in fields(cls)}
        found: dict[str, object] = {}
        for variable, text in sorted(environment.items()):
            if not variable.startswith(PREFIX) or variable.startswith(OF_TESTS):
                continue
            name = variable.removeprefix(PREFIX).lower()
            if name not in kinds:
                known = ", ".join(PREFIX + n.upper() for n in sorted(kinds))
                raise Refused(f"the environment variable {variable} is none of ours; known are {known}")
            found[name] = _parse(variable, text, str(kinds[name].type))
        return cls(**{**found, **{k: v for k, v in given.items() if v is not None}})  # type: ignore[arg-type]

    @property
    def bus_url(self) -> str:
        return self.bus or f"sqlite:///{self.data.absolute() / 'log'}"

    @property
    def blob_directory(self) -> Path:
        return self.blobs or self.data / "blobs"

    def access(self) -> Access:
        """What brokers and a registry ask of us; reads the files with passwords."""
        return Access(
            tls=self.kafka_tls,
            ca_file=self.kafka_ca_file,
            certificate_file=self.kafka_certificate_file,
            key_file=self.kafka_key_file,
            sasl=self.kafka_sasl,
            user=self.kafka_user,
            password=_secret(self.kafka_password, self.kafka_password_file),
            registry=self.registry,
            registry_user=self.registry_user,
            registry_password=_secret(self.registry_password, self.registry_password_file),
            registry_ca_file=self.registry_ca_file,
        )

    @property
    def is_embedded(self) -> bool:
        return self.bus_url.startswith("sqlite:")


def _secret(given: str, file: Path | None) -> str:
    if file is None:
        return given
    try:
        return file.read_text().rstrip("\n")
    except OSError as error:
        raise Refused(f"the password file {file} cannot be read: {error.strerror}") from error


def _parse(variable: str, text: str, kind: str) -> object:
    if kind == "int":
        try:
            return int(text)
        except ValueError as error:
            raise Refused(f"{variable} must be a whole number, found {text!r}") from error
    if kind == "bool":
        return parse_flag(variable, text)
    return Path(text) if kind.startswith("Path") else text
