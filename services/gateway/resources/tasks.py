"""/tasks: what waits for a person to do it."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from services.audit.tasks import Task
from services.audit.why import describe
from services.gateway.answer import Fresh, Page, Turning, show, shown, written
from services.gateway.caller import Caller, Calling, needs
from services.gateway.definition import keep_value
from services.gateway.desk import Asking
from services.gateway.gateway import PREFIX, Behind, Gateway
from services.gateway.rejection import NotFound, Rejected
from services.gateway.resources.field import Body, Name, Shown, Written, example
from services.records.content import NAMES_MAX
from services.records.task import Candidate, Pick, Reason, TaskAnswerRequested

router = APIRouter(prefix=f"{PREFIX}/tasks", tags=["tasks"])


class TaskShown(Shown):
    """A task that waits for a person."""

    task_id: str
    run_id: str
    stage: str
    execution: int
    workspace_id: str
    since: int
    until: int | None
    instructions: str | None


class TaskAnswer(Body):
    """A person's answer."""

    model_config = example({"result": {"passed": True}, "outputs": {"report": "All is well."}})

    result: Annotated[dict[str, Any], Field(default_factory=dict, description="What the edges decide on.")]
    outputs: Annotated[dict[Name, Any], Field(default_factory=dict, max_length=NAMES_MAX)]


class TaskAnswered(Written):
    """An answer that counts."""

    task_id: str
    run_id: str


@router.get("", **shown(Page[TaskShown], "Open tasks, the oldest first."), **needs("viewer", "tasks:read"))
async def list_tasks(
    request: Request,
    gateway: Behind,
    caller: Calling,
    turn: Turning,
    run_id: Annotated[str, Query(max_length=200)] = "",
    _fresh: None = Fresh,
) -> Response:
    """List the tasks that wait for a person."""

    def keep(each: Task) -> bool:
        return caller.sees(each.workspace_id) and run_id in ("", each.run_id)

    return show(request, turn.page(gateway.reading.tasks.tasks, keep, _show))


@router.get("/{task_id}", **shown(TaskShown, "The task."), **needs("viewer", "tasks:read"))
async def get_task(
    request: Request, gateway: Behind, caller: Calling, task_id: Annotated[Name, Path()], _fresh: None = Fresh
) -> Response:
    """Show one task."""
    return show(request, _show(_find(gateway, caller, task_id)))


class Wanted(Shown):
    """What an attempt was asked for with."""

    at: int
    profession: str | None
    skills: dict[str, int]
    agent: str | None
    text: str | None
    priority: int


class AttemptExplained(Shown):
    """What was decided about one attempt, and why."""

    attempt_id: str
    asked: Wanted
    status: str = Field(description="asked, queued, doubted, assigned, completed, failed, lost or cancelled.")
    waits: list[dict[str, Any]]
    pick: Pick | None = Field(description="How a profession was found, where the task named none.")
    choices: list[str] = Field(description="What could be chosen, where somebody had to be asked.")
    assigned_at: int | None
    instance_id: str | None
    node_id: str | None
    score: float | None
    reasons: list[Reason]
    runners_up: list[Candidate]
    ended_at: int | None
    end_reason: str | None


class TaskExplained(Shown):
    """A task, and why each attempt at it went where it went."""

    task_id: str
    run_id: str
    workspace_id: str
    stage: str
    execution: int
    item: int | None
    attempts: list[AttemptExplained]


@router.get(
    "/{task_id}/why",
    **shown(TaskExplained, "The attempts, with the parts of each score and who came after the chosen one."),
    **needs("viewer", "tasks:read"),
)
async def explain_task(
    request: Request, gateway: Behind, caller: Calling, task_id: Annotated[Name, Path()], _fresh: None = Fresh
) -> Response:
    """Say why a task was given to an instance, or why it waits; of any task, not only those of people."""
    found = gateway.reading.cases.cases.get(task_id)
    if found is None or not caller.sees(found.workspace_id):
        raise NotFound(f"task {task_id}")
    return show(request, TaskExplained.model_validate(describe(found)))


@router.post("/{task_id}/answer", response_model=TaskAnswered, **needs("approver", "tasks:write"))
async def answer_task(
    answer: TaskAnswer, gateway: Behind, asking: Asking, task_id: Annotated[Name, Path()]
) -> Response:
    """Answer a task: its result and its outputs."""
    task = _find(gateway, asking.caller, task_id)
    asking.caller.require("approver", task.workspace_id)
    contents = [await keep_value(gateway.blobs, *each) for each in sorted(answer.outputs.items())]
    ask = TaskAnswerRequested(
        workspace_id=task.workspace_id,
        run_id=task.run_id,
        task_id=task_id,
        result=json.dumps(answer.result),
        outputs=tuple(contents),
    )
    answered = await gateway.desk.ask(ask, asking, task.workspace_id)
    if answered.kept.answer != "StageCompleted":
        raise Rejected(409, answered.kept.reason or f"the answer led to {answered.kept.answer}")
    return written(TaskAnswered(position=str(answered.shown_at), task_id=task_id, run_id=task.run_id), 200)


def _find(gateway: Gateway, caller: Caller, task_id: str) -> Task:
    found = gateway.reading.tasks.tasks.get(task_id)
    if found is None or not caller.sees(found.workspace_id):
        raise NotFound(f"task {task_id} that waits for a person")
    return found


def _show(task: Task) -> TaskShown:
    return TaskShown(
        task_id=task.task_id,
        run_id=task.run_id,
        stage=task.stage,
        execution=task.execution,
        workspace_id=task.workspace_id,
        since=task.since_ms,
        until=task.until_ms or None,
        instructions=task.instructions or None,
    )
