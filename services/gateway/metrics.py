"""The figures of a system as Prometheus reads them: its text format, base units, names as the ecosystem has them."""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from services.gateway.views.nodes import KeptNode, total
from services.gateway.views.reading import Reading
from services.records.content import Resources

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric: what it is called, what it means, and a sample for each set of labels."""

    name: str
    kind: str  # gauge or counter
    help: str
    samples: tuple[tuple[Mapping[str, str], float], ...]

    def render(self) -> Iterator[str]:
        """The lines of the text format."""
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} {self.kind}"
        for labels, value in self.samples:
            said = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
            yield f"{self.name}{f'{{{said}}}' if said else ''} {value:.15g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def render_metrics(reading: Reading) -> str:
    """All figures, as text."""
    lines = [line for family in _families(reading) for line in family.render()]
    return "\n".join(lines) + "\n"


def _families(reading: Reading) -> Iterator[Family]:
    instances = list(reading.instances.instances.values())
    yield _counts(
        "clawx_instances",
        "Instances by profession and status; of those that have ended the newest.",
        ("profession", "status"),
        ((each.profession, each.status) for each in instances),
    )
    yield _counts(
        "clawx_runs",
        "Runs by status; of those that have ended the newest.",
        ("status",),
        ((run.progress.status or "unknown",) for run in reading.runs.runs.values()),
    )
    yield _counts(
        "clawx_alarms_standing",
        "Alarms that are raised and not cleared.",
        ("rule", "severity"),
        ((each.rule, each.severity) for each in reading.alarms.alarms.values() if not each.cleared_at_ms),
    )
    nodes = [node for node in reading.nodes.nodes.values() if node.status != "lost"]
    yield _counts("clawx_nodes", "Nodes by pool and status.", ("pool", "status"), ((n.pool, n.status) for n in nodes))
    yield from _of_nodes(nodes)
    yield _least_ready(reading)
    yield from _of_process()


def _counts(name: str, meaning: str, labels: tuple[str, ...], values: Iterable[tuple[str, ...]]) -> Family:
    counted = sorted(Counter(values).items())
    samples = tuple((dict(zip(labels, value, strict=True)), float(count)) for value, count in counted)
    return Family(name=name, kind="gauge", help=meaning, samples=samples)


def _of_nodes(nodes: list[KeptNode]) -> Iterator[Family]:
    for what, parts in (("capacity", _capacity), ("granted", _granted)):
        for unit, amount in _UNITS.items():
            samples = tuple(
                ({"pool": node.pool, "node": node.node_id}, amount(parts(node)))
                for node in sorted(nodes, key=lambda node: (node.pool, node.node_id))
            )
            meaning = f"What a node {'offers' if what == 'capacity' else 'has given to instances'}, in {unit}."
            yield Family(name=f"clawx_node_{what}_{unit}", kind="gauge", help=meaning, samples=samples)


def _capacity(node: KeptNode) -> Resources:
    return node.capacity


def _granted(node: KeptNode) -> Resources:
    return total([grant.resources for grant in node.grants.values()])


_UNITS: Mapping[str, Callable[[Resources], float]] = {
    "cpu_cores": lambda parts: parts.cpu_millis / 1000,
    "memory_bytes": lambda parts: float(parts.memory_mib * MIB),
    "storage_bytes": lambda parts: float(parts.storage_mib * MIB),
    "slots": lambda parts: float(parts.slots),
}


def _least_ready(reading: Reading) -> Family:
    pools = sorted(reading.warm_pools.pools.items())
    samples = tuple(
        ({"workspace": workspace, "profession": profession}, float(pool.least))
        for (workspace, profession), pool in pools
    )
    meaning = "Instances that a warm pool keeps ready."
    return Family(name="clawx_warm_pool_least", kind="gauge", help=meaning, samples=samples)


def _of_process() -> Iterator[Family]:
    """Of the process that hosts the gateway."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = used.ru_utime + used.ru_stime
    cpu = "CPU time of this process, user and system, in seconds."
    yield Family(name="process_cpu_seconds_total", kind="counter", help=cpu, samples=(({}, seconds),))
    peak = "Most memory that this process has held, in bytes."
    yield Family(
        name="clawx_process_peak_resident_memory_bytes",
        kind="gauge",
        help=peak,
        samples=(({}, float(used.ru_maxrss * 1024)),),
    )
    now = "When these figures were taken, in seconds since 1970."
    yield Family(name="clawx_scrape_timestamp_seconds", kind="gauge", help=now, samples=(({}, time.time()),))
