"""Whether a cluster can be reached and lets us in: asked before any client starts, since clients do not tell why."""

from __future__ import annotations

import asyncio
import logging
import ssl

from aiokafka.conn import AIOKafkaConnection, collect_hosts, create_conn
from aiokafka.errors import KafkaError, UnsupportedSaslMechanismError
from aiokafka.protocol.metadata import MetadataRequest

from bus.backends.kafka_failures import refusal
from bus.backends.kafka_settings import KafkaSecurity, KafkaSettings
from bus.errors import BusError, Refused, Unavailable

_PROTOCOL_LOGGER = "aiokafka.conn"
"""Writes whole requests at DEBUG, those with a password too."""


async def probe(settings: KafkaSettings) -> None:
    """Return once one of the bootstrap servers has answered; raises Refused or Unavailable with what each said."""
    if settings.security.sasl_mechanism:
        _keep_secrets()
    try:
        hosts = collect_hosts(settings.bootstrap)
    except ValueError as error:
        raise Refused(f"{settings.bootstrap!r} names no Kafka servers: {error}") from error
    asked = [asyncio.ensure_future(_ask(host, port, settings)) for host, port, _ in hosts]
    failures = []
    try:
        for answer in asyncio.as_completed(asked):
            if (failure := await answer) is None:
                return
            failures.append(failure)
    finally:
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    raise next((each for each in failures if isinstance(each, Refused)), failures[0])


async def _ask(host: str, port: int, settings: KafkaSettings) -> BusError | None:
    """What one server says against us."""
    connection: AIOKafkaConnection | None = None
    try:
        async with asyncio.timeout(settings.connect_ms_max / 1000):
            connection = await create_conn(host, port, **_options(settings))
            await connection.send(MetadataRequest([]))
    except (KafkaError, TimeoutError, OSError) as error:
        failure = _told(error, f"{host}:{port}", settings)
        failure.__cause__ = error
        return failure
    finally:
        if connection is not None:
            connection.close()
    return None


def _options(settings: KafkaSettings) -> dict[str, object]:
    return {"request_timeout_ms": settings.connect_ms_max, **settings.security.options()}


def _told(error: BaseException, server: str, settings: KafkaSettings) -> BusError:
    security = settings.security
    if isinstance(error, ssl.SSLCertVerificationError):
        return Refused(f"the certificate of Kafka at {server} is not to be trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return Refused(f"Kafka at {server} cannot be spoken to by TLS: {error.reason or error}")
    if isinstance(error, UnsupportedSaslMechanismError):
        return Refused(f"Kafka at {server} does not offer {security.sasl_mechanism}")
    if refusal(error):
        who = f" the user {security.username!r} by {security.sasl_mechanism}" if security.sasl_mechanism else ""
        said = next((each for each in error.args if isinstance(each, str)), type(error).__name__)
        return Refused(f"Kafka at {server} refuses{who}: {said}")
    ended = isinstance(error, KafkaError | ConnectionResetError)
    reason = _ended(error, security) if ended else str(error) or type(error).__name__
    which = "" if server == settings.bootstrap else f"{server}: "
    return Unavailable(f"no answer from Kafka at {settings.bootstrap}: {which}{reason}")


def _ended(error: BaseException, security: KafkaSecurity) -> str:
    """A server that wants more than we give, or does not understand it, ends the connection without a word."""
    if security.tls and isinstance(error, ConnectionResetError):
        return "it ended the connection; does it speak TLS?"
    wants = [name for name, given in (("TLS", security.tls), ("a user", security.sasl_mechanism)) if not given]
    return "it ended the connection" + (f"; does it want {' or '.join(wants)}?" if wants else "")


def _keep_secrets() -> None:
    logger = logging.getLogger(_PROTOCOL_LOGGER)
    logger.setLevel(max(logger.getEffectiveLevel(), logging.INFO))
