"""The OpenAPI document: what FastAPI knows of the routes, with the problems that every call may end in."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.gateway.rejection import MEDIA_TYPE, Problem

STATUSES = {
    400: "The call cannot be understood.",
    401: "This needs a key.",
    403: "The key does not allow this.",
    404: "There is no such thing, or none that you may see.",
    405: "There is no such call.",
    409: "The system refuses this as things are.",
    413: "This is over a limit.",
    421: "This host is served elsewhere.",
    422: "Something in the call is wrong.",
    429: "Too many calls; try again later.",
    503: "Try again later.",
    504: "Nobody has answered in time.",
    507: "The log or the blob store is full.",
}
_METHODS = ("get", "put", "post", "delete", "patch")


def describe_api(app: FastAPI) -> dict[str, Any]:
    """The document, made once."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(
        title="OpenClaw-X",
        version=version("openclaw-x"),
        openapi_version="3.1.0",
        description="Agents with professions that work together on workflows.",
        routes=app.routes,
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = Problem.model_json_schema()
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path in document["paths"].values():
        for method in _METHODS:
            if operation := path.get(method):
                _describe(operation)
    app.openapi_schema = document
    return document


def _describe(operation: dict[str, Any]) -> None:
    if "x-role" in operation:
        operation["security"] = [{"key": []}]
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status, description in STATUSES.items():
        operation["responses"][str(status)] = {"description": description, "content": content}
