"""/messages: what instances and people say to each other."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from bus.blobs import digest_of
from services.audit.messages import Sending, describe
from services.definitions.duration import read_duration
from services.gateway.answer import Fresh, Page, Turning, show, shown, written
from services.gateway.caller import Caller, Calling, needs
from services.gateway.desk import Asking
from services.gateway.gateway import PREFIX, Behind, Gateway
from services.gateway.rejection import NotFound, Rejected
from services.gateway.resources.field import Body, Name, Shown, Workspace, Written, example
from services.records.content import Content
from services.records.message import (
    NAME_LENGTH_MAX,
    PAYLOAD_INLINE_BYTES_MAX,
    PRIORITY_MAX,
    REQUESTS,
    MessageContext,
    channel_of,
)

router = APIRouter(prefix=f"{PREFIX}/messages", tags=["messages"])

Id = Annotated[str, Field(max_length=NAME_LENGTH_MAX)]


class ContextDraft(Body):
    """What a message belongs to, and how it is to be treated."""

    workflow_id: Id = ""
    stage_id: Id = ""
    task_id: Id = ""
    trace_id: Id = ""
    priority: Annotated[int, Field(ge=-PRIORITY_MAX, le=PRIORITY_MAX)] = 0
    requires_ack: bool = False


class MessageDraft(Body):
    """A message to be sent under the caller's name."""

    model_config = example(
        {
            "target_instance": "profession:qa_engineer",
            "message_type": "notification",
            "payload": {"text": "The build is red."},
            "context": {"priority": 5, "requires_ack": True},
            "expires_in": "10m",
        }
    )

    workspace_id: Workspace = "default"
    run_id: Id = ""
    target_instance: Annotated[
        str,
        Field(max_length=NAME_LENGTH_MAX, description="An instance's id, `profession:NAME`, `team:NAME` or `all`."),
    ]
    message_type: Annotated[str, Field(max_length=NAME_LENGTH_MAX)] = "notification"
    payload: Any = None
    context: ContextDraft = ContextDraft()
    expires_in: Annotated[str, Field(max_length=40, description="A length of time such as `10m`.")] = ""
    reply_to: Id = ""


class MessageShown(Shown):
    """A message, and how far it is."""

    message_id: str
    status: str = Field(description="sent, then received or expired; refused; or kept for a person.")
    workspace_id: str
    run_id: str | None
    rounds: int
    received_by: list[str]
    reason: str | None
    source_instance: str | None
    target_instance: str | None
    message_type: str | None
    payload: Any
    context: dict[str, Any] | None
    reply_to: str | None
    created_at: int
    expires_at: int | None


class MessageWritten(Written):
    """A message that was sent."""

    message_id: str


@router.get("", **shown(Page[MessageShown], "Messages, the oldest first."), **needs("viewer", "messages:read"))
async def list_messages(
    request: Request,
    gateway: Behind,
    caller: Calling,
    turn: Turning,
    run_id: Annotated[str, Query(max_length=200)] = "",
    status: Annotated[str, Query(max_length=200)] = "",
    reply_to: Annotated[str, Query(max_length=200)] = "",
    _fresh: None = Fresh,
) -> Response:
    """List messages."""

    def keep(each: Sending) -> bool:
        answers = each.message.reply_to if each.message else ""
        wanted = run_id in ("", each.run_id) and status in ("", each.status) and reply_to in ("", answers)
        return wanted and caller.sees(each.workspace_id)

    return show(request, turn.page(gateway.reading.messages.messages, keep, _show))


@router.get("/{message_id}", **shown(MessageShown, "The message."), **needs("viewer", "messages:read"))
async def get_message(
    request: Request, gateway: Behind, caller: Calling, message_id: Annotated[Name, Path()], _fresh: None = Fresh
) -> Response:
    """Show one message."""
    return show(request, _show(_find(gateway, caller, message_id)))


@router.post("", status_code=201, response_model=MessageWritten, **needs("operator", "messages:write"))
async def send_message(draft: MessageDraft, gateway: Behind, asking: Asking) -> Response:
    """Send a message. It is sent again until received, or until it has expired."""
    asking.caller.require("operator", draft.workspace_id)
    try:
        kind = REQUESTS[channel_of(draft.message_type)]
        expires_in_ms = read_duration(draft.expires_in) if draft.expires_in else 0
    except ValueError as error:
        raise Rejected(422, str(error)) from error
    ask = kind(
        workspace_id=draft.workspace_id,
        run_id=draft.run_id,
        target_instance=draft.target_instance,
        message_type=draft.message_type,
        payload=await _keep_payload(gateway, draft.payload),
        context=MessageContext(**draft.context.model_dump()),
        expires_in_ms=expires_in_ms,
        reply_to=draft.reply_to,
    )
    answered = await gateway.desk.ask(ask, asking, draft.workspace_id, "task")
    body = MessageWritten(position=str(answered.shown_at), message_id=asking.record_id)  # a message has its ask's id
    return written(body, 201, location=f"{PREFIX}/messages/{asking.record_id}")


async def _keep_payload(gateway: Gateway, payload: Any) -> Content:
    try:
        data = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise Rejected(422, f"the payload cannot be kept as JSON text: {error}") from error
    is_small = len(data) <= PAYLOAD_INLINE_BYTES_MAX
    digest = digest_of(data) if is_small else await gateway.blobs.put(data)
    inline = data if is_small else None
    return Content(name="payload", digest=digest, size=len(data), media_type="application/json", inline=inline)


def _find(gateway: Gateway, caller: Caller, message_id: str) -> Sending:
    found = gateway.reading.messages.messages.get(message_id)
    if found is None or not caller.sees(found.workspace_id):
        raise NotFound(f"message {message_id}")
    return found


def _show(sending: Sending) -> MessageShown:
    return MessageShown.model_validate(describe(sending))
