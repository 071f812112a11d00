"""Instances `ann`, `bob` and `cid` of workspace `w`, and messages between them."""

from __future__ import annotations

import json
from typing import Any

from bus.blobs import digest_of
from bus.testing import Scenario, envelope, given
from services.records.content import Content
from services.records.event import InstanceEnded, InstanceReady
from services.records.message import (
    REQUESTS,
    CorrespondentChanged,
    Delivery,
    MessageContext,
    MessageReceived,
    MessageRequested,
    channel_of,
)
from services.router.conversations import CONVERSATIONS
from services.router.conversations_state import Conversations


def present(name: str, profession: str = "qa_engineer", team: str = "", incarnation: int = 1) -> CorrespondentChanged:
    return CorrespondentChanged(
        workspace_id="w",
        instance_id=name,
        profession=profession,
        team_id=team,
        node_id="n",
        node_session="s",
        incarnation=incarnation,
    )


CAST = (present("ann", "software_architect", "red"), present("bob", "qa_engineer", "red"), present("cid"))


def scene(*facts: Any) -> Scenario[Conversations]:
    return given(CONVERSATIONS, *(facts or CAST))


def payload(value: object = "hello") -> Content:
    data = json.dumps(value).encode()
    return Content(name="payload", digest=digest_of(data), size=len(data), media_type="application/json", inline=data)


def message(target: str, kind: str = "request", source: str = "ann", **fields: Any) -> MessageRequested:
    context = MessageContext(priority=fields.pop("priority", 0), requires_ack=fields.pop("requires_ack", False))
    worker = {"source_instance": source, "node_session": "s", "incarnation": 1} if source else {}
    return REQUESTS[channel_of(kind)](
        **{
            "workspace_id": "w",
            "run_id": "r",
            "target_instance": target,
            "message_type": kind,
            "payload": payload(),
            "context": context,
            **worker,
            **fields,
        }
    )


def id_of(asked: MessageRequested) -> str:
    return envelope(asked).id


def received(message_id: str, name: str, incarnation: int = 1) -> MessageReceived:
    return MessageReceived(
        workspace_id="w",
        run_id="r",
        message_id=message_id,
        instance_id=name,
        node_id="n",
        node_session="s",
        incarnation=incarnation,
    )


def ready(name: str, profession: str = "qa_engineer", incarnation: int = 1) -> InstanceReady:
    return InstanceReady(
        workspace_id="w",
        instance_id=name,
        profession=profession,
        name=name,
        agent="script",
        node_id="n",
        node_session="s",
        incarnation=incarnation,
        slots=1,
    )


def ended(name: str) -> InstanceEnded:
    return InstanceEnded(workspace_id="w", instance_id=name, status="stopped")


def delivered(*names: str, incarnation: int = 1) -> tuple[Delivery, ...]:
    return tuple(Delivery(instance_id=n, node_id="n", node_session="s", incarnation=incarnation) for n in names)
