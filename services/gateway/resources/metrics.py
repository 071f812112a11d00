"""/metrics: figures for Prometheus, behind a key like everything else."""

from __future__ import annotations

from fastapi import APIRouter, Response

from services.gateway.caller import EVERYWHERE, Calling, needs
from services.gateway.gateway import Behind
from services.gateway.metrics import MEDIA_TYPE, render_metrics

router = APIRouter(tags=["metrics"])


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "The figures in the text format of Prometheus.", "content": {MEDIA_TYPE: {}}}},
    **needs("viewer", "metrics:read"),
)
async def get_metrics(gateway: Behind, caller: Calling) -> Response:
    """Show the figures of the system; they tell of all workspaces."""
    caller.require("viewer", EVERYWHERE)
    return Response(render_metrics(gateway.reading), media_type=MEDIA_TYPE)
