"""The figures are in the text format of Prometheus, true, and behind a key."""

from __future__ import annotations

import re
from pathlib import Path

from tests.services.gateway.served import Served, served

SAMPLE = re.compile(r'^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)+)\})? (\S+)$')


async def scrape(api: Served, key: str) -> tuple[int, str]:
    async with api.http.get(f"{api.url}/metrics", headers={"Authorization": f"Bearer {key}"}) as response:
        assert response.status != 200 or response.content_type == "text/plain"
        return response.status, await response.text()


async def test_every_line_is_of_a_metric_that_says_what_it_is(tmp_path: Path) -> None:
    async with served(tmp_path) as api:
        order = {"profession_id": "editor", "config": {"resource_quota": {"cpu": 0.5, "memory": "64Mi"}}}
        assert (await api.call("POST", "/instances", order, Prefer="wait=60")).body["status"] == "ready"
        status, text = await scrape(api, api.key)
        refused, _ = await scrape(api, "nonsense")
    assert (status, refused) == (200, 401)
    kinds: dict[str, str] = {}
    samples: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            _, what, name, said = line.split(" ", 3)
            kinds |= {name: said} if what == "TYPE" else {}
            continue
        found = SAMPLE.match(line)
        assert found, line
        assert found[1] in kinds, line
        assert kinds[found[1]] == ("counter" if found[1].endswith("_total") else "gauge")
        samples[line.rpartition(" ")[0]] = float(found[3])
    assert samples['clawx_instances{profession="content_editor",status="ready"}'] == 1
    assert samples['clawx_node_granted_cpu_cores{pool="default",node="here"}'] == 0.5
    assert samples['clawx_node_granted_memory_bytes{pool="default",node="here"}'] == 64 * 2**20
    assert samples["process_cpu_seconds_total"] > 0
