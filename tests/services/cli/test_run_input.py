"""Inputs arrive as they are typed: text, a file's bytes, or JSON."""

import json
from pathlib import Path

import pytest

from bus.blobs import DirectoryBlobs, digest_of
from services.cli.contents import keep_content
from services.cli.run_input import Given, read_inputs
from services.definitions.workflow import WorkflowFile, read_workflow
from services.records.content import INLINE_BYTES_MAX


def source(declared: str) -> WorkflowFile:
    text = f"id: flow\ninputs: {{x: {declared}}}\nstages: [{{id: a, profession: developer, input: [x]}}]\n"
    return read_workflow(text.encode(), "flow.yaml")


def given(declared: str, *typed: str) -> Given:
    return read_inputs(source(declared), typed)["x"]


def test_text_stays_text_whatever_it_looks_like() -> None:
    assert given("{type: string}", "x=a=b: @c") == Given(content=b"a=b: @c", media_type="text/plain", value="a=b: @c")
    assert given("{type: string}", "x=5").content == b"5"
    assert given("{}", "x=").content == b""
    assert given("{}", "x=\u4f60\u597d").content == "\u4f60\u597d".encode()


def test_a_file_comes_byte_by_byte_with_the_type_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(bytes(range(256)))
    found = given("{type: file}", f"x=@{path}")
    assert (found.content, found.media_type) == (bytes(range(256)), "image/png")


def test_json_is_kept_as_json() -> None:
    found = given("{type: json}", 'x:={"b": [1, 2.5, null], "a": "ü"}')
    assert json.loads(found.content) == {"b": [1, 2.5, None], "a": "ü"}
    assert found.media_type == "application/json"
    assert given("{type: list}", "x=[1]").value == [1]
    assert given("{type: boolean}", "x=true").value is True
    assert given("{type: number}", "x=1e3").value == 1000


def test_a_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert given("{type: path}", "x=.").value == str(tmp_path.resolve())


def test_a_default_stands_in_and_what_is_optional_may_be_missing() -> None:
    assert given("{type: integer, default: 3}").content == b"3"
    assert read_inputs(source("{required: false}"), ()) == {}


async def test_only_small_contents_travel_in_the_record(tmp_path: Path) -> None:
    blobs, small, big = DirectoryBlobs(tmp_path), b"s" * INLINE_BYTES_MAX, b"t" * (INLINE_BYTES_MAX + 1)
    in_record, by_digest = [await keep_content(blobs, "x", content, "text/plain") for content in (small, big)]
    assert (in_record.inline, in_record.digest) == (small, digest_of(small))
    assert (by_digest.inline, by_digest.digest) == (None, digest_of(big))
    assert await blobs.get(by_digest.digest) == big
    assert not await blobs.has(in_record.digest)
