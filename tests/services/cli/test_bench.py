"""`clawx bench` prints figures that are figures, on a log of its own."""

import json
from pathlib import Path

from tests.services.cli.program import run


def test_bench_bus_measures_latency_and_throughput(tmp_path: Path) -> None:
    done = run("bench", "bus", "--rate", "200", "--seconds", "1", "--records", "1000", "--json", data=tmp_path)
    assert done.end() == 0, done.said
    (line,) = done.lines
    found = json.loads(line)
    assert found["rate"] == 200
    assert 0 < found["p50_ms"] <= found["p99_ms"]
    assert found["publish_records_per_s"] > 0
    assert found["read_records_per_s"] > 0
    assert found["namespace"].startswith("bench-")
