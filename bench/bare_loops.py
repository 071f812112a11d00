"""The yardstick for the engine: three processes that pass records over Kafka with aiokafka and fastavro, and do
nothing else.

An orchestrator asks for stage after stage of three-stage runs, a router assigns, a worker completes; no state is kept
beyond what is in flight, nothing is fenced, decided or recovered. `python bench/bare_loops.py HOST:PORT` prints JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import secrets
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import fastavro
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

STAGES = 3
TEXTS = ("workspace_id", "run_id", "stage", "task_id", "attempt_id", "profession", "instance_id", "digest")
SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Step",
        "fields": [
            *({"name": name, "type": "string"} for name in TEXTS),
            {"name": "execution", "type": "long"},
            {"name": "time_ms", "type": "long"},
        ],
    }
)


def encode(step: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, SCHEMA, step)
    return out.getvalue()


def decode(value: bytes) -> dict[str, Any]:
    step: Any = fastavro.schemaless_reader(io.BytesIO(value), SCHEMA, None)
    return step


class Loop:
    """One process: reads a topic, answers each record with one on another topic, one batch a poll and partition."""

    def __init__(self, bootstrap: str, source: str, target: str, partitions: int) -> None:
        self.target, self.partitions = target, partitions
        self.producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all")
        self.consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        self.assigned = [TopicPartition(source, number) for number in range(partitions)]

    async def start(self) -> None:
        self.consumer.assign(self.assigned)
        await self.consumer.start()
        await self.consumer.seek_to_beginning(*self.assigned)
        await self.producer.start()

    async def poll(self, answer: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
        fetched = await self.consumer.getmany(timeout_ms=200, max_records=1000)
        for partition, records in fetched.items():
            answers = [found for record in records if (found := answer(decode(record.value)))]
            await self.send(partition.partition, answers)

    async def send(self, partition: int, steps: list[dict[str, Any]]) -> None:
        if steps:
            batch = self.producer.create_batch()
            for step in steps:
                batch.append(key=step["workspace_id"].encode(), value=encode(step), timestamp=None)
            batch.close()
            await self.producer.send_batch(batch, self.target, partition=partition)

    async def stop(self) -> None:
        await self.consumer.stop()
        await self.producer.stop()


def relay(bootstrap: str, source: str, target: str, partitions: int) -> None:
    """Body of the router's and the worker's process; ended from outside."""

    async def work() -> None:
        loop = Loop(bootstrap, source, target, partitions)
        await loop.start()
        while True:
            await loop.poll(lambda step: step)

    uvloop.run(work())


async def orchestrate(bootstrap: str, name: str, partitions: int, runs: int, concurrency: int) -> dict[str, float]:
    loop = Loop(bootstrap, f"{name}.completed", f"{name}.requested", partitions)
    await loop.start()
    begun: dict[str, float] = {}
    latencies: list[float] = []
    asked = 0

    def first() -> dict[str, Any]:
        nonlocal asked
        step: dict[str, Any] = dict.fromkeys(TEXTS, "x" * 16) | {"execution": 1, "time_ms": 0}
        step |= {"workspace_id": f"w{asked % 32}", "run_id": f"{name}-{runs}-{asked}"}
        begun[step["run_id"]] = time.perf_counter()
        asked += 1
        return step

    def next_step(step: dict[str, Any]) -> dict[str, Any] | None:
        if step["run_id"] not in begun:
            return None  # of the runs that warmed it up
        if step["execution"] < STAGES:
            return step | {"execution": step["execution"] + 1}
        latencies.append(time.perf_counter() - begun.pop(step["run_id"]))
        return first() if asked < runs else None

    started = time.perf_counter()
    for number in range(min(concurrency, runs)):
        await loop.send(number % partitions, [first()])
    while len(latencies) < runs:
        await loop.poll(next_step)
    seconds = time.perf_counter() - started
    await loop.stop()
    latencies.sort()
    return {
        "runs_per_s": round(runs / seconds, 1),
        "stages_per_s": round(runs * STAGES / seconds, 1),
        "p50_ms": round(latencies[len(latencies) // 2] * 1000, 2),
        "p99_ms": round(latencies[int(len(latencies) * 0.99)] * 1000, 2),
    }


async def measure(bootstrap: str, partitions: int, runs: int, concurrency: int) -> dict[str, float]:
    """Make topics, start the relays, run, end them."""
    name = f"bare-{secrets.token_hex(4)}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    topics = [f"{name}.{step}" for step in ("requested", "assigned", "completed")]
    await admin.create_topics([NewTopic(topic, partitions, 1) for topic in topics])
    await admin.close()
    context = multiprocessing.get_context("spawn")
    relays = [
        context.Process(target=relay, args=(bootstrap, source, target, partitions), daemon=True)
        for source, target in pairwise(topics)
    ]
    for process in relays:
        process.start()
    try:
        await orchestrate(bootstrap, name, partitions, 50, 1)  # until both relays are there
        return await orchestrate(bootstrap, name, partitions, runs, concurrency)
    finally:
        for process in relays:
            process.terminate()
            process.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bootstrap")
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--concurrency", type=int, default=256)
    given = parser.parse_args()
    found = uvloop.run(measure(given.bootstrap, given.partitions, given.runs, given.concurrency))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
