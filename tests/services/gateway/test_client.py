"""The typed client starts work, waits for it and brings back what it made, and fails with the bus's own errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.errors import Refused
from services.api_client import connect_api
from tests.eventually import eventually
from tests.services.gateway.served import FLOW, WAITING, served


async def test_a_program_starts_work_and_brings_back_what_it_made(tmp_path: Path) -> None:
    async with served(tmp_path) as api, connect_api(api.url, settings=api.system.settings) as client:
        instance = await client.create_instance("qa_engineer", name="tester")
        assert (instance.status, instance.name) == ("ready", "tester")
        run = await client.start_run(FLOW, {"name": "world"}, idempotency_key="once")
        again = await client.start_run(FLOW, {"name": "world"}, idempotency_key="once")
        assert again.run_id == run.run_id

        async def ended() -> bool:
            return (await client.get_run(run.run_id)).has_ended

        await eventually(ended)
        done = await client.get_run(run.run_id)
        assert done.status == "completed"
        assert await client.download(run.run_id, done.outputs["greeting"]) == b"hello"
        waiting = await client.start_run(WAITING)
        await client.cancel_run(waiting.run_id, "enough")
        assert (await client.destroy_instance(instance.instance_id)).status == "stopped"
        with pytest.raises(Refused, match="there is no run run-0"):
            await client.get_run("run-0")
        with pytest.raises(Refused, match="another call"):
            await client.start_run(WAITING, idempotency_key="once")
