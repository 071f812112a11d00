"""Many tasks matched from JSON lines, each answered by a line, as `clawx professions match --batch` does."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.definitions.catalogue import Catalogue
from services.definitions.problem import suggest
from services.router.index import SCALE, Index, build_index
from services.router.matching import match_task

SKILLS_MAX = 64
LINE_CHARACTERS_MAX = 1_000_000

Names = Annotated[tuple[str, ...], Field(max_length=SKILLS_MAX)]


class BatchInvalid(ValueError):
    """A line of a batch that is no task; the message is a sentence with the number of the line."""


class _Task(BaseModel):
    """A line of a batch; fields that are not read are left alone, as other programs' files have them."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    id: str | int
    text: str | None = None
    skills: Names | None = None
    among: tuple[str, ...] | None = None


def match_batch(lines: Iterable[str | bytes], catalogue: Catalogue) -> Iterator[dict[str, Any]]:
    """Yield `{"id", "ranked": [ids], "accepted", "score"}` for each line that is not blank; raises BatchInvalid.

    A line is `{"id", "text"?, "skills"?: [names], "among"?: [profession ids]}` with a text, skills or both. `score` is
    between 0 and 1; from 0.5 on the match is accepted.
    """
    index = build_index(catalogue)
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _answer(_read(line, number, catalogue), index)


def _answer(task: _Task, index: Index) -> dict[str, Any]:
    match = match_task(index, text=task.text or "", skills=task.skills or (), among=task.among)
    return {
        "id": task.id,
        "ranked": [one.profession for one in match.ranked],
        "accepted": match.accepted,
        "score": match.certainty / SCALE,
    }


def _read(line: str | bytes, number: int, catalogue: Catalogue) -> _Task:
    if len(line) > LINE_CHARACTERS_MAX:
        raise BatchInvalid(f"line {number}: has {len(line)} characters, more than {LINE_CHARACTERS_MAX}")
    try:
        task = _Task.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise BatchInvalid(f"line {number}: {where + ': ' if where else ''}{first['msg']}") from error
    if task.text is None and task.skills is None:
        raise BatchInvalid(f"line {number}: has neither `text` nor `skills`, give at least one of them")
    return _resolved(task, number, catalogue)


def _resolved(task: _Task, number: int, catalogue: Catalogue) -> _Task:
    """Return the task with ids in the place of aliases in `among`."""
    if task.among is None:
        return task
    if not task.among:
        raise BatchInvalid(f"line {number}: `among` is empty, name professions or leave it out")
    ids = []
    for name in task.among:
        profession = catalogue.find(name)
        if profession is None:
            hint = suggest(name, catalogue.by_name)
            raise BatchInvalid(f"line {number}: among: the profession `{name}` is not known; {hint}")
        ids.append(profession.id)
    return task.model_copy(update={"among": tuple(ids)})
