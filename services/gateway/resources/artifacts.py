"""/artifacts and /blobs: what runs made, and contents by digest."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from bus.errors import BlobTooLarge, BusError
from services.gateway.answer import Fresh, Page, Turning, show, shown, written
from services.gateway.caller import Calling, needs
from services.gateway.gateway import PREFIX, Behind
from services.gateway.rejection import NotFound
from services.gateway.resources.field import Shown
from services.gateway.resources.runs import RunId, find_run

router = APIRouter(prefix=PREFIX, tags=["artifacts"])

BLOB_BYTES_MAX = 64 * 1024 * 1024
"""Largest blob that comes through the door."""

Hex = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", examples=["0" * 64])]


class ReadVersion(Shown):
    """A version that a stage read."""

    name: str
    version: int
    sha256: str


class ArtifactVersion(Shown):
    """A version of an artifact, and how it came to be."""

    name: str
    version: int
    sha256: str
    stage: str
    execution: int
    item: int | None = None
    base_version: int
    reads: list[ReadVersion]


class BlobKept(Shown):
    """A content that is kept."""

    digest: str = Field(examples=["sha256:" + "0" * 64])


@router.get(
    "/runs/{run_id}/artifacts",
    **shown(Page[ArtifactVersion], "Versions in the order of the log."),
    **needs("viewer", "artifacts:read"),
)
async def list_artifacts(
    request: Request, gateway: Behind, caller: Calling, turn: Turning, run_id: RunId, _fresh: None = Fresh
) -> Response:
    """List the artifacts of a run, version by version."""
    rows = find_run(gateway, caller, run_id).artifacts
    return show(request, turn.slice([ArtifactVersion.model_validate(row) for row in rows]))


@router.get(
    "/runs/{run_id}/artifacts/{sha256}",
    response_class=Response,
    responses={200: {"description": "The content.", "content": {"application/octet-stream": {}}}},
    **needs("viewer", "artifacts:read"),
)
async def get_artifact(gateway: Behind, caller: Calling, run_id: RunId, sha256: Hex) -> Response:
    """Download the content of an input or an artifact of a run by its digest."""
    found = find_run(gateway, caller, run_id).contents.get(f"sha256:{sha256}")
    if found is None:
        raise NotFound(f"content {sha256} in the run {run_id}")
    content = found.inline if found.inline is not None else await gateway.blobs.get(found.digest)
    return download(content, found.digest)


@router.post(
    "/blobs",
    status_code=201,
    response_model=BlobKept,
    **{
        **needs("operator", "artifacts:write"),
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            },
            "x-role": "operator",
            "x-scope": "artifacts:write",
        },
    },
)
async def put_blob(request: Request, gateway: Behind) -> Response:
    """Keep a content, to be named by its digest from then on."""
    content = await body_of(request, BLOB_BYTES_MAX, BlobTooLarge)
    return written(BlobKept(digest=await gateway.blobs.put(content)), 201)


@router.get(
    "/blobs/{digest}",
    response_class=Response,
    responses={200: {"description": "The content.", "content": {"application/octet-stream": {}}}},
    **needs("viewer", "artifacts:read"),
)
async def get_blob(
    gateway: Behind, digest: Annotated[str, Path(max_length=200, examples=["sha256:" + "0" * 64])]
) -> Response:
    """Download a content by its digest. Whoever knows a digest may have the content, as with any capability."""
    return download(await gateway.blobs.get(digest), digest)


def download(content: bytes, digest: str) -> Response:
    """A content as bytes; never shown as what it says it is, since anybody may have put it here."""
    headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment", "ETag": f'"{digest}"'}
    return Response(content, media_type="application/octet-stream", headers=headers)


async def body_of(request: Request, bytes_max: int, error: type[BusError]) -> bytes:
    """The body, given up as soon as it is over the limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise error(f"the body is over the limit of {bytes_max} bytes")
    return bytes(body)
