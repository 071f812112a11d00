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


def test_bench_instances_counts_from_asking_to_being_ready(tmp_path: Path) -> None:
    done = run("bench", "instances", "--creations", "3", "--json", data=tmp_path)
    assert done.end() == 0, done.said
    found = json.loads(done.lines[-1])
    assert list(found) == [
        *("create_p50_ms", "create_p99_ms", "twenty_ready_s"),
        *("created", "succeeded", "idle_100_mib"),
    ]
    assert 0 < found["create_p50_ms"] <= found["create_p99_ms"]
    assert found["created"] == found["succeeded"] == 103
    assert found["idle_100_mib"] > 0
