"""A workflow that came through the door, made ready to run; no file of this machine is read for it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from bus.blobs import digest_of
from bus.client import Blobs
from services.definitions.catalogue import Catalogue
from services.definitions.problem import DefinitionInvalid, Problem
from services.definitions.resolution import professions_of, resolve
from services.definitions.validation import require_valid
from services.definitions.workflow import Workflow, WorkflowFile, read_workflow
from services.records.content import INLINE_BYTES_MAX, Content

FILE = "workflow"
"""What problems call the definition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A workflow as a run keeps it, and the professions that it names."""

    workflow: Workflow
    warnings: tuple[Problem, ...]
    professions: dict[str, bytes]  # canonical forms by id

    async def keep(self, blobs: Blobs) -> dict[str, str]:
        """Keep all that the run names by digest; gives the digests of the professions by id."""
        await blobs.put(self.workflow.to_json())
        return {name: await blobs.put(content) for name, content in sorted(self.professions.items())}


def prepare(definition: str | dict[str, Any], catalogue: Catalogue) -> Prepared:
    """Read, resolve and validate; raises DefinitionInvalid."""
    text = definition if isinstance(definition, str) else json.dumps(definition)
    source = read_workflow(text.encode(errors="surrogatepass"), FILE)
    named = replace(source, workflow=resolve(source.workflow, catalogue))
    _refuse_files(named)
    warnings = require_valid(named, catalogue.levels())
    professions = {each.id: each.to_json() for each in professions_of(named.workflow, catalogue)}
    return Prepared(workflow=named.workflow, warnings=warnings, professions=professions)


def _refuse_files(source: WorkflowFile) -> None:
    for index, stage in enumerate(source.workflow.stages):
        if stage.subflow is not None and stage.subflow.file is not None:
            line = source.line_of("stages", index, "subflow", "file")
            reason = "an inner workflow cannot be a file here"
            raise DefinitionInvalid([Problem(file=FILE, line=line, field="subflow", reason=reason)])


async def keep_value(blobs: Blobs, name: str, value: Any) -> Content:
    """A JSON value as a content: a text as it is, anything else as JSON."""
    if isinstance(value, str):
        return await keep_bytes(blobs, name, value.encode(errors="replace"), "text/plain")
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return await keep_bytes(blobs, name, text.encode(errors="replace"), "application/json")


async def keep_bytes(blobs: Blobs, name: str, content: bytes, media_type: str) -> Content:
    """A content that may be named in a record: small ones travel in it, others are kept first."""
    inline = content if len(content) <= INLINE_BYTES_MAX else None
    digest = digest_of(content) if inline is not None else await blobs.put(content)
    return Content(name=name, digest=digest, size=len(content), media_type=media_type, inline=inline)
