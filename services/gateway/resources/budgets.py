"""/budgets: what workspaces, runs and instances may spend, and have spent."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from services.audit.budgets import describe
from services.gateway.answer import Fresh, show, shown, written
from services.gateway.caller import Calling, needs
from services.gateway.desk import Asking
from services.gateway.gateway import PREFIX, Behind
from services.gateway.resources.field import Body, Name, Shown, Workspace, Written, example
from services.records.budget import NO_LIMIT, BudgetSetRequested

router = APIRouter(prefix=f"{PREFIX}/budgets", tags=["budgets"])

AMOUNT_MAX = 2**53 - 1

Amount = Annotated[int, Field(ge=0, le=AMOUNT_MAX)]
Subject = Annotated[
    Name, Field(description="`workspace`, `run:ID`, `run:*` for each run, `instance:ID`, `instance:*`.")
]


class Spending(Shown):
    """Tokens, or money in millionths of the currency unit."""

    limit: int | None
    spent: int
    granted: int = Field(description="Given out and not accounted for; it counts as spent until it is.")
    alarm: int | None = Field(description="50, 80 or 100: the percent that was last told of.")


class BudgetShown(Shown):
    """What a subject may spend, and has spent."""

    workspace_id: str
    subject: str
    tokens: Spending
    cost_micros: Spending
    refused: int = Field(description="Attempts that were stopped, or not started.")
    set_at: int


class BudgetsShown(Shown):
    """Budgets in the order in which they came up."""

    items: list[BudgetShown]


class BudgetOrder(Body):
    """Limits what a subject may spend from now on; without any amount the limit is taken away."""

    model_config = example({"workspace_id": "default", "subject": "run:*", "tokens": 200_000, "cost_micros": 5_000_000})

    workspace_id: Workspace = "default"
    subject: Subject
    tokens: Amount | None = None
    cost_micros: Amount | None = None


@router.get("", **shown(BudgetsShown, "Budgets of workspaces, runs and instances."), **needs("viewer", "budgets:read"))
async def list_budgets(
    request: Request,
    gateway: Behind,
    caller: Calling,
    workspace_id: Annotated[str, Query(max_length=200)] = "",
    _fresh: None = Fresh,
) -> Response:
    """List budgets with what is spent and what is given out."""
    books = gateway.reading.budgets.books
    items = [
        BudgetShown.model_validate(describe(each, books.limit(each)))
        for each in books.budgets.values()
        if caller.sees(each.workspace_id) and workspace_id in ("", each.workspace_id)
    ]
    return show(request, BudgetsShown(items=items))


@router.put("", response_model=Written, **needs("admin", "budgets:write"))
async def set_budget(order: BudgetOrder, gateway: Behind, asking: Asking) -> Response:
    """Limit what may be spent. Attempts stop hard when it is spent, and keep what they have."""
    asking.caller.require("admin", order.workspace_id)
    ask = BudgetSetRequested(
        workspace_id=order.workspace_id,
        subject=order.subject,
        tokens=NO_LIMIT if order.tokens is None else order.tokens,
        cost_micros=NO_LIMIT if order.cost_micros is None else order.cost_micros,
    )
    answered = await gateway.desk.ask(ask, asking, order.workspace_id)
    return written(Written(position=str(answered.shown_at)), 200)
