"""The documents that the system gives of itself are whole, and true to the map of the roles."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
from jsonschema import Draft202012Validator

from services.definitions.catalogue import shipped_catalogue
from services.gateway.asyncapi import describe_topics
from services.records import LANGUAGE, language_codec
from services.topology import ROLES
from tests.services.gateway.served import served

MESSAGE = {
    "type": "object",
    "required": ["name", "title", "summary", "contentType", "payload"],
    "additionalProperties": False,
    "properties": {
        **{name: {"type": "string", "minLength": 1} for name in ("name", "title", "summary", "contentType")},
        "payload": {
            "type": "object",
            "required": ["schemaFormat", "schema"],
            "properties": {"schemaFormat": {"const": "application/vnd.apache.avro;version=1.9.0"}},
        },
    },
}
REFERENCE = {"required": ["$ref"], "properties": {"$ref": {"type": "string"}}, "additionalProperties": False}
ASYNCAPI = {
    "type": "object",
    "required": ["asyncapi", "info", "channels", "operations", "components"],
    "properties": {
        "asyncapi": {"const": "3.0.0"},
        "info": {"type": "object", "required": ["title", "version"]},
        "channels": {
            "additionalProperties": {
                "required": ["address", "messages"],
                "properties": {"messages": {"additionalProperties": REFERENCE}},
            }
        },
        "operations": {
            "additionalProperties": {
                "required": ["action", "channel", "messages"],
                "properties": {
                    "action": {"enum": ["send", "receive"]},
                    "channel": REFERENCE,
                    "messages": {"type": "array", "items": REFERENCE, "minItems": 1},
                },
            }
        },
        "components": {"properties": {"messages": {"additionalProperties": MESSAGE}}},
    },
}
"""What the specification of AsyncAPI 3 asks of the parts that are used here."""


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for name, each in part.items():
            if name != "payload":
                yield from references(each)
    elif isinstance(part, list):
        for each in part:
            yield from references(each)


def follow(document: Any, reference: str) -> Any:
    for name in reference.removeprefix("#/").split("/"):
        document = document[name]
    return document


def test_the_topics_are_described_as_asyncapi_has_it() -> None:
    document = describe_topics(language_codec().types, "clawx")
    Draft202012Validator(ASYNCAPI).validate(document)
    for reference in references(document):
        assert follow(document, reference)
    assert set(document["components"]["messages"]) == {kind.__name__ for kind in LANGUAGE}
    for message in document["components"]["messages"].values():
        fastavro.parse_schema(copy.deepcopy(message["payload"]["schema"]))


def test_each_role_sends_and_receives_what_the_map_says() -> None:
    document = describe_topics(language_codec().types, "clawx")
    for role in ROLES:
        for action, kinds in (("send", role.says), ("receive", role.hears)):
            found = {
                reference.rpartition("/")[2]
                for name, operation in document["operations"].items()
                if name.startswith(f"{role.name}.{action}.")
                for reference in (each["$ref"] for each in operation["messages"])
            }
            assert found == {kind.__name__ for kind in kinds if kind.channel}


async def test_each_profession_has_an_agent_card(tmp_path: Path) -> None:
    async with served(tmp_path, node=False) as api:
        cards = (await api.call("GET", "/.well-known/agent-cards")).body["cards"]
        assert set(cards) == {each.id for each in shipped_catalogue()}
        whole = (await api.call("GET", "/.well-known/agent-card.json")).body
        assert {skill["id"] for skill in whole["skills"]} == set(cards)
        for profession in shipped_catalogue():
            card = (await api.call("GET", cards[profession.id].removeprefix(api.url))).body
            assert {"protocolVersion", "name", "description", "url", "version", "capabilities"} <= set(card)
            assert {"defaultInputModes", "defaultOutputModes", "skills", "security"} <= set(card)
            assert [skill["name"] for skill in card["skills"]] == list(profession.levels)
            assert all(skill["id"] and skill["description"] and skill["tags"] for skill in card["skills"])
        document = await api.call("GET", "/asyncapi.json")
        assert document.body == describe_topics(language_codec().types, "clawx")
