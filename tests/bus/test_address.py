"""URLs of logs: what they open, and what a person is told when they are wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from bus.address import open_log
from bus.codec import Codec
from bus.errors import NamespaceMismatch, Refused

ROOT = Path(__file__).parents[2]


async def test_a_path_follows_the_third_slash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url in (f"sqlite:///{tmp_path}/a.db", "sqlite:///b.db", "sqlite:///with%20space/%3F.db"):
        await (await open_log(url)).close()
    assert {"a.db", "b.db", "with space/?.db"} <= found(tmp_path)


def found(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


async def test_options_come_from_the_url_before_the_call(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.sqlite"
    log = await open_log(f"{url}?namespace=lab&partitions=5", namespace="other", partitions=6)
    assert (log.namespace, log.partitions) == ("lab", 5)
    await log.close()
    log = await open_log(url, namespace="lab")
    assert (log.namespace, log.partitions) == ("lab", 5)
    await log.close()
    with pytest.raises(NamespaceMismatch, match="clawx"):
        await open_log(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "log.sqlite",
        "/tmp/log.sqlite",
        "sqlite:",
        "sqlite://",
        "sqlite:///",
        "sqlite://log.sqlite",
        "sqlite:///log.sqlite#first",
        "kafka:",
        "kafka://",
        "kafka://host",
        "kafka://host:port",
        "kafka://host:9092,",
        "kafka://host:9092,other",
        "kafka://host:9092/topic",
        "kafka://[::1:9092",
        "http://host:9092",
    ],
)
async def test_what_names_no_log_is_refused_with_what_would_be_right(url: str) -> None:
    with pytest.raises(Refused, match=r"sqlite:///PATH or kafka://HOST:PORT\[,HOST:PORT\]"):
        await open_log(url)


@pytest.mark.parametrize(
    "url",
    ["kafka://user:hidden@host:9092", "kafka://user@host:9092", "kafka://host:9092?sasl=PLAIN&password=hidden"],
)
async def test_a_password_has_no_place_in_a_url_and_is_not_repeated(url: str) -> None:
    with pytest.raises(Refused, match="CLAWX_KAFKA_PASSWORD_FILE") as refused:
        await open_log(url)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("tls=perhaps", "tls is true or false"),
        ("tls=true&sasl=GSSAPI&user=clawx", "no SASL mechanism"),
        ("sasl=SCRAM-SHA-512&user=clawx", "needs a user name and a password"),
        ("user=clawx", "of use only with a SASL mechanism"),
        ("ca_file=ca.pem", "only with TLS"),
        ("registry=localhost:8081", "names no schema registry"),
        ("registry=http://user:hidden@localhost:8081", "schema registry has a name in it"),
    ],
)
async def test_what_a_cluster_asks_for_is_checked_before_it_is_asked(query: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason) as refused:
        await open_log(f"kafka://127.0.0.1:1?{query}", codec=Codec(()))
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("partition=3", "unknown option 'partition'; known are namespace, partitions"),
        ("replication=3", "unknown option 'replication'"),
        ("partitions=0", "no count"),
        ("partitions=many", "no count"),
        ("namespace=", "no namespace"),
        ("namespace=a/b", "no namespace"),
    ],
)
async def test_options_that_are_wrong_are_refused_and_nothing_is_made(tmp_path: Path, query: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        await open_log(f"sqlite:///{tmp_path}/log.sqlite?{query}")
    assert not found(tmp_path)


WITHOUT_CLIENT = """
import asyncio, sys
sys.modules["aiokafka"] = None
from bus.address import open_log
from bus.codec import Codec
asyncio.run(open_log("kafka://127.0.0.1:1"))
"""


def test_without_the_client_library_one_sentence_says_what_to_install() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_CLIENT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.stderr.splitlines()[-1].endswith("Refused: Kafka needs aiokafka: pip install openclaw-x[kafka]")
