"""A broker that requires TLS and a password lets us in with both, and one sentence says why it does not."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from bus.access import Access
from bus.address import join_group, open_log
from bus.client import LogBus
from bus.codec import Codec
from bus.errors import Refused, Unavailable
from services.cli.main import main
from services.settings import Settings
from tests.brokers.kafka_secured import Secured
from tests.bus.bank import LANGUAGE, Deposited, DepositRequested, Stored
from tests.bus.bank_runtime import NoBlobs, heard, hosting, publish

CODEC = Codec(LANGUAGE)


def access(cluster: Secured, sasl: str = "SCRAM-SHA-512") -> Access:
    return Access(tls=True, ca_file=cluster.authority, sasl=sasl, user=cluster.user, password=cluster.password)


@pytest.mark.parametrize("sasl", ["SCRAM-SHA-512", "PLAIN"])
async def test_roles_decide_and_share_out_behind_tls_and_a_password(
    secured_kafka: Secured, namespace: str, sasl: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"kafka://{secured_kafka.bootstrap}?namespace={namespace}"
    log = await open_log(url, access=access(secured_kafka, sasl), partitions=2)
    async with hosting(log, CODEC) as runtime:
        asks = [DepositRequested(workspace_id=f"w{number}", amount=1) for number in range(20)]
        await publish(log, CODEC, *asks)
        assert len(await heard(log, CODEC, Stored, 20)) == 20
        assert not runtime.halted
    group = await join_group(log, "bank")
    assert await anext(aiter(group.watch())) == {0, 1}
    await group.close()
    await log.close()
    assert secured_kafka.password not in caplog.text


async def test_publish_and_subscribe_with_all_but_the_password_in_the_url(
    secured_kafka: Secured, namespace: str
) -> None:
    url = f"kafka://{secured_kafka.bootstrap}?namespace={namespace}&partitions=1&{secured_kafka.query}"
    log = await open_log(url, access=Access(password=secured_kafka.password))
    bus = LogBus(log, CODEC, NoBlobs())
    at = await bus.publish(DepositRequested(workspace_id="w", amount=7), record_id="ask")
    found = [each async for each in bus.subscribe("task", [DepositRequested, Deposited], live=False)]
    assert [(each.at, each.id, each.record.amount) for each in found] == [(at, "ask", 7)]
    await bus.close()
    await log.close()


async def refused(cluster: Secured, **changes: object) -> str:
    """What a client with this changed is told, in one sentence without the password."""
    changed = replace(access(cluster), **changes)  # type: ignore[arg-type]
    with pytest.raises((Refused, Unavailable)) as failure:
        await open_log(f"kafka://{cluster.bootstrap}", access=changed)
    told = str(failure.value)
    assert "\n" not in told
    assert cluster.bootstrap in told
    assert cluster.password not in told
    assert "wrong" not in told
    return told


async def test_a_wrong_password_is_refused_by_name(secured_kafka: Secured, caplog: pytest.LogCaptureFixture) -> None:
    told = await refused(secured_kafka, password="wrong")
    assert f"refuses the user '{secured_kafka.user}' by SCRAM-SHA-512" in told
    assert "invalid credentials" in told
    assert "wrong" not in caplog.text


async def test_what_else_the_cluster_asks_for_is_named(secured_kafka: Secured, tmp_path: Path) -> None:
    assert "refuses the user 'nobody'" in await refused(secured_kafka, user="nobody")
    assert "certificate" in await refused(secured_kafka, ca_file=None)
    assert "does it want TLS?" in await refused(secured_kafka, tls=False, ca_file=None)
    assert "does it want a user?" in await refused(secured_kafka, sasl="", user="", password="")
    assert "does not offer SCRAM-SHA-256" in await refused(secured_kafka, sasl="SCRAM-SHA-256")


async def test_a_broker_that_asks_for_nothing_is_told_from_one_that_does(kafka: str) -> None:
    with pytest.raises(Unavailable, match=r"does it speak TLS\?"):
        await open_log(f"kafka://{kafka}", access=Access(tls=True))
    asked_for = Access(sasl="PLAIN", user="clawx", password="hidden")
    with pytest.raises((Refused, Unavailable), match=kafka) as failure:
        await open_log(f"kafka://{kafka}", access=asked_for)
    assert "hidden" not in str(failure.value)


def test_the_environment_leads_to_the_broker_and_its_password_comes_from_a_file(
    secured_kafka: Secured,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    password = tmp_path / "password"
    password.write_text(f"{secured_kafka.password}\n")
    given = {
        "BUS": f"kafka://{secured_kafka.bootstrap}",
        "DATA": str(tmp_path),
        "NAMESPACE": namespace,
        "KAFKA_TLS": "true",
        "KAFKA_CA_FILE": str(secured_kafka.authority),
        "KAFKA_SASL": "SCRAM-SHA-512",
        "KAFKA_USER": secured_kafka.user,
        "KAFKA_PASSWORD_FILE": str(password),
    }
    for name, value in given.items():
        monkeypatch.setenv(f"CLAWX_{name}", value)
    assert main(["doctor", "--quick", "--json"]) == 1
    assert f"there is no namespace '{namespace}'" in capsys.readouterr().out
    password.write_text("wrong")
    assert main(["log", "tail", "--past"]) == 2
    assert "refuses the user" in capsys.readouterr().err
    password.unlink()
    assert main(["log", "tail", "--past"]) == 2
    assert f"the password file {password} cannot be read" in capsys.readouterr().err


def test_settings_say_no_password() -> None:
    settings = Settings.read({"CLAWX_KAFKA_PASSWORD": "hidden", "CLAWX_REGISTRY_PASSWORD": "hidden"})
    assert "hidden" not in repr(settings)
    assert "hidden" not in repr(settings.access())
    with pytest.raises(Refused, match="CLAWX_KAFKA_TLS is true or false"):
        Settings.read({"CLAWX_KAFKA_TLS": "maybe"})
