"""The AsyncAPI document: the topics, what may stand on them, who says it and who hears it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

from bus.avro import schema_of
from bus.channel import CHANNELS, topic
from bus.record import Record
from services.topology import ASKS, MONITOR, NODE, ROLES, WEBHOOKS

AVRO = "application/vnd.apache.avro;version=1.9.0"


def describe_topics(types: Mapping[str, type[Record]], namespace: str) -> dict[str, Any]:
    """The document of one namespace, made from the map of the roles and the record types."""
    kinds = {name: kind for name, kind in sorted(types.items()) if kind.channel}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "OpenClaw-X",
            "version": version("openclaw-x"),
            "description": "The channels of the message bus. Every record is Avro, framed with a schema registry's id "
            "or as a single object; its key is a workspace, a pool or `_system`.",
        },
        "defaultContentType": "application/vnd.apache.avro",
        "channels": {channel: _channel(channel, namespace, kinds) for channel in CHANNELS},
        "operations": dict(_operations(kinds)),
        "components": {"messages": {name: _message(name, kind) for name, kind in kinds.items()}},
    }


def _channel(channel: str, namespace: str, kinds: Mapping[str, type[Record]]) -> dict[str, Any]:
    names = [name for name, kind in kinds.items() if kind.channel == channel]
    return {
        "address": topic(namespace, channel),
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
    }


def _message(name: str, kind: type[Record]) -> dict[str, Any]:
    said = (kind.__doc__ or "").strip()
    return {
        "name": name,
        "title": name,
        "summary": " ".join(said.split("\n\n")[0].split()),
        "contentType": "application/vnd.apache.avro",
        "payload": {"schemaFormat": AVRO, "schema": schema_of(kind, f"clawx.{kind.channel}")},
    }


def _operations(kinds: Mapping[str, type[Record]]) -> Iterable[tuple[str, dict[str, Any]]]:
    """For each role and edge what it sends and what it receives, channel by channel."""
    parties: dict[str, tuple[Iterable[type[Record]], Iterable[type[Record]]]] = {
        role.name: (role.says, role.hears) for role in ROLES
    }
    parties |= {edge.name: (edge.reports, edge.follows) for edge in (NODE, MONITOR, WEBHOOKS)}
    parties["gateway"] = (ASKS, kinds.values())
    for party, (said, heard) in parties.items():
        for action, records in (("send", said), ("receive", heard)):
            names = {kind.__name__ for kind in records} & kinds.keys()
            for channel in CHANNELS:
                own = sorted(name for name in names if kinds[name].channel == channel)
                if own:
                    yield f"{party}.{action}.{channel}", _operation(action, channel, own)


def _operation(action: str, channel: str, names: Iterable[str]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
    }
