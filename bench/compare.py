"""This project and its peers, one after the other on one machine: three no-op steps a run, so many runs at once.

`python bench/compare.py HOST:PORT` prints a table; the ratio is to this engine on Kafka in the same pass. Peers are
optional: `pip install -r bench/peers/requirements.txt` into any Python, and name that with `--peers-python`. One that
is missing is named with the reason. What the peers promise differs: see bench/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SECONDS_MAX = 300
OURS = "this engine, Kafka, five processes"
TEMPORAL = "its server is in none of the Python, npm or Maven registries; set it up by hand to compare"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """How to measure one: the program, and what it is called in the table."""

    name: str
    command: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one measurement gave, or why there is none."""

    name: str
    figures: dict[str, Any]
    reason: str = ""


def contenders(kafka: str, peers_python: str, runs: int, concurrency: int) -> list[Contender]:
    """All of them, in the order of the table."""
    load = ("--runs", str(runs), "--concurrency", str(concurrency))
    engine = (sys.executable, "-m", "services.cli.main", "bench", "engine", *load, "--json")
    found = [
        Contender(name=OURS, command=(*engine, "--bus", f"kafka://{kafka}")),
        Contender(name="this engine, embedded, fsync", command=engine),
        Contender(name="bare loops, Kafka", command=(sys.executable, str(HERE / "bare_loops.py"), kafka, *load)),
    ]
    for name, script in (
        ("FastStream, Kafka", "faststream_steps.py"),
        ("faust-streaming, Kafka", "faust_steps.py"),
        ("Restate, inline steps", "restate_steps.py"),
        ("DBOS, SQLite", "dbos_steps.py"),
    ):
        command = (peers_python, str(HERE / "peers" / script), "--kafka", kafka, *load)
        found.append(Contender(name=name, command=command))
    return found


def measure(contender: Contender) -> Row:
    """Run it to its end."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))
    }
    try:
        done = subprocess.run(
            contender.command, capture_output=True, text=True, timeout=SECONDS_MAX, env=environment, check=True
        )
        return Row(name=contender.name, figures=json.loads(done.stdout.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        return Row(name=contender.name, figures={}, reason=f"it did not end within {SECONDS_MAX} s")
    except (subprocess.CalledProcessError, OSError) as error:
        said = getattr(error, "stderr", "") or str(error)
        return Row(name=contender.name, figures={}, reason=said.strip().splitlines()[-1])


def table(rows: Sequence[Row], concurrency: int) -> str:
    """Markdown, with the ratio of each to this engine."""
    ours = next((row.figures.get("stages_per_s") for row in rows if row.name == OURS), None)
    lines = [f"| {concurrency} at once | stages/s | ratio | p50 ms | p99 ms |", "|---|---|---|---|---|"]
    for row in rows:
        if row.reason:
            lines.append(f"| {row.name} | missing: {row.reason} | | | |")
            continue
        ratio = f"{row.figures['stages_per_s'] / ours:.2f}" if ours else ""
        figures = (f"{row.figures['stages_per_s']:,.0f}", ratio, row.figures["p50_ms"], row.figures["p99_ms"])
        lines.append(f"| {row.name} | {' | '.join(map(str, figures))} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kafka", help="HOST:PORT of a broker")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, nargs="*", default=[1, 32, 256])
    parser.add_argument("--peers-python", default=sys.executable, help="the Python that has the peers")
    given = parser.parse_args()
    for concurrency in given.concurrency:
        runs = given.runs if concurrency > 1 else max(1, given.runs // 10)
        rows = []
        for contender in contenders(given.kafka, given.peers_python, runs, concurrency):
            rows.append(measure(contender))
            sys.stderr.write(f"{rows[-1]}\n")
        rows.append(Row(name="Temporal", figures={}, reason=TEMPORAL))
        sys.stdout.write(table(rows, concurrency) + "\n")


if __name__ == "__main__":
    main()
