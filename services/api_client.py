"""A small typed client of the gateway's resources, for programs that start work and wait for it."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from services.client import read_key
from services.http_bus import HttpBus
from services.records import language_codec
from services.settings import Settings

WAIT_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as the gateway shows it."""

    run_id: str
    workspace_id: str
    status: str  # running, completed, failed, cancelled or refused
    outputs: Mapping[str, str]  # SHA-256 of the last version, by name
    reason: str = ""

    @property
    def has_ended(self) -> bool:
        return self.status != "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An instance as the gateway shows it."""

    instance_id: str
    name: str
    profession_id: str
    workspace_id: str
    status: str


class ApiClient:
    """Calls of one gateway. Every failure is one of the bus's own errors; writes may be repeated under one key."""

    def __init__(self, bus: HttpBus) -> None:
        self.bus = bus

    async def start_run(
        self,
        workflow: str | Mapping[str, Any],
        inputs: Mapping[str, Any] | None = None,
        *,
        workspace_id: str = "default",
        idempotency_key: str = "",
    ) -> Run:
        """Start a run of a workflow, given as YAML text or as JSON."""
        body = {"workflow": workflow, "inputs": inputs or {}, "workspace_id": workspace_id}
        made = await self._write("POST", "/runs", body, idempotency_key)
        return await self.get_run(made["run_id"], after=made["position"])

    async def get_run(self, run_id: str, *, after: str = "") -> Run:
        """A run as it is, at least as of a position."""
        found = await self._read(f"/runs/{run_id}", after)
        outputs = {name: each["sha256"] for name, each in found["outputs"].items()}
        return Run(outputs=outputs, reason=found["reason"] or "", **_only(found, "run_id", "workspace_id", "status"))

    async def cancel_run(self, run_id: str, reason: str = "") -> Run:
        """End a run now."""
        made = await self._write("POST", f"/runs/{run_id}/cancel", {"reason": reason})
        return await self.get_run(run_id, after=made["position"])

    async def download(self, run_id: str, sha256: str) -> bytes:
        """The content of an artifact of a run."""
        return await self.bus.call("GET", f"/runs/{run_id}/artifacts/{sha256}")

    async def create_instance(self, profession_id: str, *, name: str = "", workspace_id: str = "default") -> Instance:
        """Create an instance and wait until it is ready or has failed."""
        body = {"profession_id": profession_id, "name": name, "collaboration": {"workspace_id": workspace_id}}
        made = await self._write("POST", "/instances", body, wait_s=WAIT_S)
        return await self.get_instance(made["instance_id"], after=made["position"])

    async def get_instance(self, instance_id: str, *, after: str = "") -> Instance:
        """An instance as it is, at least as of a position."""
        found = await self._read(f"/instances/{instance_id}", after)
        return Instance(**_only(found, "instance_id", "name", "profession_id", "workspace_id", "status"))

    async def destroy_instance(self, instance_id: str, *, force: bool = False) -> Instance:
        """End an instance and wait until it has ended."""
        path = f"/instances/{instance_id}?force={str(force).lower()}"
        made = await self._write("DELETE", path, None, wait_s=WAIT_S)
        return await self.get_instance(instance_id, after=made["position"])

    async def _read(self, path: str, after: str) -> Any:
        return json.loads(await self.bus.call("GET", path, params={"after": after} if after else {}))

    async def _write(self, method: str, path: str, body: object, key: str = "", wait_s: int = 0) -> Any:
        headers = {"Idempotency-Key": key or uuid.uuid4().hex} | ({"Prefer": f"wait={wait_s}"} if wait_s else {})
        return json.loads(await self.bus.call(method, path, json=body, headers=headers))


def _only(found: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: found[name] for name in names}


@asynccontextmanager
async def connect_api(url: str, *, settings: Settings) -> AsyncIterator[ApiClient]:
    """A client of the gateway at `http://HOST:PORT`, with the key that the settings name; closed on leaving."""
    bus = HttpBus(url, read_key(settings), language_codec().types)
    try:
        yield ApiClient(bus)
    finally:
        await bus.close()
