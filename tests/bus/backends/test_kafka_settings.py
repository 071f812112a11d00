"""Security settings become what the client library calls them; what makes no sense is refused."""

import ssl
from pathlib import Path
from typing import Any

import pytest

from bus.backends.kafka_settings import KafkaSecurity, KafkaSettings
from bus.errors import Refused


def test_a_plain_connection_is_the_default() -> None:
    assert KafkaSettings(bootstrap="host:9092").options(1000) == {
        "bootstrap_servers": "host:9092",
        "request_timeout_ms": 1000,
        "security_protocol": "PLAINTEXT",
    }


def test_tls_with_scram() -> None:
    security = KafkaSecurity(tls=True, sasl_mechanism="SCRAM-SHA-512", username="clawx", password="hidden")
    options = security.options()
    assert options["security_protocol"] == "SASL_SSL"
    assert options["ssl_context"].verify_mode == ssl.CERT_REQUIRED
    assert options["ssl_context"].check_hostname
    assert (options["sasl_mechanism"], options["sasl_plain_username"]) == ("SCRAM-SHA-512", "clawx")
    assert options["sasl_plain_password"] == "hidden"
    assert "hidden" not in repr(security)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"sasl_mechanism": "GSSAPI"}, "no SASL mechanism"),
        ({"sasl_mechanism": "PLAIN", "username": "clawx"}, "a user name and a password"),
        ({"ca_file": Path("ca.pem")}, "only with TLS"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        KafkaSecurity(**given)


def test_a_certificate_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"TLS file.*absent\.pem"):
        KafkaSecurity(tls=True, ca_file=tmp_path / "absent.pem").options()
