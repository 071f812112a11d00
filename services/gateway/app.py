"""The application: all routes behind one guard."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from services.gateway.caller import needs
from services.gateway.gateway import PREFIX, Gateway
from services.gateway.guard import Door, Guard
from services.gateway.openapi import describe_api
from services.gateway.rejection import explain_rejections
from services.gateway.resources import (
    alarms,
    artifacts,
    budgets,
    documents,
    forks,
    instance_changes,
    instances,
    keys,
    messages,
    metrics,
    nodes,
    pools,
    professions,
    quarantine,
    records,
    reviews,
    runs,
    schedules,
    streams,
    tasks,
    workflows,
)

HEALTH = f"{PREFIX}/health"
OPEN_PATHS = frozenset({HEALTH})
"""What is shown to everybody."""

ROUTERS = (
    *(instances.router, professions.router, workflows.router, artifacts.router, runs.router, tasks.router),
    *(reviews.router, nodes.router, alarms.router, budgets.router, records.router, quarantine.router),
    *(keys.router, streams.router, forks.router, messages.router, instance_changes.router, pools.router),
    *(schedules.router, metrics.router, documents.router),
)


def make_app(gateway: Gateway, door: Door) -> FastAPI:
    """The application over a gateway."""
    app = FastAPI(title="OpenClaw-X", openapi_url=None)
    app.state.gateway = gateway
    app.openapi = lambda: describe_api(app)  # type: ignore[method-assign]  # as FastAPI's manual has it
    app.add_middleware(Guard, door=door)
    explain_rejections(app)
    for router in ROUTERS:
        app.include_router(router)

    @app.get(HEALTH, tags=["health"])
    async def health() -> dict[str, str]:
        """Whether the door is open."""
        return {"status": "ok"}

    @app.get(f"{PREFIX}/openapi.json", include_in_schema=False, **needs("viewer", "api:read"))
    async def describe(request: Request) -> Response:
        return JSONResponse(app.openapi())

    return app
