"""The inputs of a run or of a subflow: what is given, else the defaults; what is missing is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from services.definitions.versions import digest_of, find_fault
from services.definitions.workflow import Input
from services.orchestrator.run import artifact_of
from services.records.content import INLINE_BYTES_MAX, Artifact, Content


class Refusal(Exception):
    """What is asked for cannot begin, for this reason."""


def inputs_of_run(declared: Mapping[str, Input], given: tuple[Content, ...]) -> Iterator[Artifact]:
    """The first version of each input, from what was given or the default; raises Refusal."""
    contents = {content.name: content for content in given}
    if len(contents) < len(given):
        raise Refusal("an input is given twice")
    for name in sorted(contents.keys() - declared.keys()):
        raise Refusal(f"the workflow has no input `{name}`; it has {', '.join(sorted(declared)) or 'none'}")
    for name, input_ in declared.items():
        content = contents.get(name) or default_of(name, input_)
        if content is None:
            continue
        if fault := find_fault(content):
            raise Refusal(fault)
        yield artifact_of(content, 1, 0)


def default_of(name: str, declared: Input) -> Content | None:
    """What stands for an input that was not given; None if it may be absent, Refusal if not."""
    if declared.default is None:
        if declared.required:
            raise Refusal(f"the input `{name}` is missing")
        return None
    is_text = isinstance(declared.default, str)
    data = (declared.default if is_text else json.dumps(declared.default, ensure_ascii=False)).encode()
    if len(data) > INLINE_BYTES_MAX:
        raise Refusal(f"the default of the input `{name}` has {len(data)} bytes, more than {INLINE_BYTES_MAX}; give it")
    media_type = "text/plain" if is_text else "application/json"
    return Content(name=name, digest=digest_of(data), size=len(data), media_type=media_type, inline=data)
