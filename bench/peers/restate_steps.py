"""Restate: one handler of three durable no-op steps, run inline; its server is the npm package
`@restatedev/restate-server`, found on the PATH or named by RESTATE_SERVER."""

import asyncio
import logging
import os
import shutil
import socket
import tempfile
from pathlib import Path

import aiohttp
import chain
import restate
from hypercorn.asyncio import serve
from hypercorn.config import Config

bench = restate.Service("bench")
READY_S_MAX = 30


@bench.handler()
async def three_steps(context: restate.Context, number: int) -> int:
    for step in range(chain.STEPS):
        number = await context.run_typed(f"step {step}", _same, number=number)
    return number


async def _same(number: int) -> int:
    return number


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def main() -> None:
    given, server = chain.arguments(), os.environ.get("RESTATE_SERVER") or shutil.which("restate-server")
    if server is None:
        raise SystemExit("there is no restate-server on the PATH: npm install @restatedev/restate-server")
    logging.disable(logging.WARNING)
    ingress, admin, own = _free_port(), _free_port(), _free_port()
    with tempfile.TemporaryDirectory() as directory:
        process = await asyncio.create_subprocess_exec(
            server,
            env=os.environ
            | {
                "RESTATE_BASE_DIR": directory,
                "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
                "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
                "RESTATE_BIND_ADDRESS": f"127.0.0.1:{_free_port()}",
            },
            stdout=asyncio.subprocess.DEVNULL,
            stderr=(Path(directory) / "said").open("wb"),
        )
        config = Config()
        config.bind = [f"127.0.0.1:{own}"]
        serving = asyncio.create_task(serve(restate.app([bench]), config))  # type: ignore[arg-type]
        try:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
                await _register(http, admin, own)
                await chain.measure(lambda number: _call(http, ingress, number), given.runs, given.concurrency)
        finally:
            serving.cancel()
            process.terminate()
            await process.wait()


async def _register(http: aiohttp.ClientSession, admin: int, own: int) -> None:
    """Tell the server where the handler is, once it is up."""
    async with asyncio.timeout(READY_S_MAX):
        while True:
            try:
                async with http.post(
                    f"http://127.0.0.1:{admin}/deployments", json={"uri": f"http://127.0.0.1:{own}"}
                ) as answer:
                    if answer.ok:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.2)


async def _call(http: aiohttp.ClientSession, ingress: int, number: int) -> None:
    async with http.post(f"http://127.0.0.1:{ingress}/bench/three_steps", json=number) as answer:
        answer.raise_for_status()
        await answer.read()


asyncio.run(main())
