"""Why a call leads to nothing, said as RFC 9457 has it."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from bus.errors import BlobMissing, BlobTooLarge, BusError, LogFull, RecordTooLarge, Refused, Retryable
from bus.errors import UnknownRecordType as UnknownType
from services.definitions.catalogue import AliasTaken, ProfessionUnknown
from services.definitions.problem import DefinitionInvalid
from services.definitions.problem import Problem as Fault
from services.definitions.tailoring import TailoringRefused
from services.wire import error_to_problem, problem

MEDIA_TYPE = "application/problem+json"

_STATUS: tuple[tuple[type[BusError], int], ...] = (
    (UnknownType, 404),
    (BlobMissing, 404),
    (RecordTooLarge, 413),
    (BlobTooLarge, 413),
    (LogFull, 507),
    (Retryable, 503),
    (Refused, 422),
)


class Problem(BaseModel):
    """A problem as RFC 9457 has it; `detail` is a sentence."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "there is no run run-0"},
            ]
        },
    )

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    error: str = Field(default="", description="Class of the failure, where it is one of the bus.")


class Rejected(Exception):
    """A call that leads to nothing, with its status and the reason in a sentence."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.more = status, detail, more


class NotFound(Rejected):
    """There is no such thing, or none that the caller may see."""

    def __init__(self, what: str) -> None:
        super().__init__(404, f"there is no {what}")


def explain_rejections(app: FastAPI) -> None:
    """Every refusal and failure becomes a problem."""

    @app.exception_handler(Rejected)
    async def of_the_gateway(request: Request, error: Rejected) -> JSONResponse:
        return _answer(error.status, problem(error.status, error.detail, **error.more))

    @app.exception_handler(BusError)
    async def of_the_bus(request: Request, error: BusError) -> JSONResponse:
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
        return _answer(status, error_to_problem(error, status))

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> JSONResponse:
        answer = _answer(error.status_code, problem(error.status_code, str(error.detail)))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(RequestValidationError)
    async def of_parameters(request: Request, error: RequestValidationError) -> JSONResponse:
        said = "; ".join(f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors())
        return _answer(422, problem(422, said))

    @app.exception_handler(DefinitionInvalid)
    async def of_definitions(request: Request, error: DefinitionInvalid) -> JSONResponse:
        return _answer(422, problem(422, str(error), problems=[describe_fault(each) for each in error.problems]))

    @app.exception_handler(ProfessionUnknown)
    @app.exception_handler(AliasTaken)
    @app.exception_handler(TailoringRefused)
    async def of_professions(request: Request, error: Exception) -> JSONResponse:
        return _answer(422, problem(422, str(error)))


def describe_fault(fault: Fault) -> dict[str, object]:
    """One thing that is wrong with a definition."""
    return {
        "line": fault.line,
        "field": fault.field,
        "severity": fault.severity,
        "reason": fault.reason,
        "suggestion": fault.suggestion,
    }


def _answer(status: int, content: dict[str, Any]) -> JSONResponse:
    headers = {"Retry-After": "1"} if status in (429, 503) else None
    return JSONResponse(content, status, media_type=MEDIA_TYPE, headers=headers)
