"""`clawx reviews`: what waits for somebody's judgement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Wrong
from services.cli.option import Bus, Data, Json, Server, read_settings

if TYPE_CHECKING:
    from services.audit.reviews import Review
    from services.settings import Settings

app = typer.Typer(help="What waits for somebody's judgement.", no_args_is_help=True)


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Those that are closed too.")] = False,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List the reviews that are open, the oldest first."""
    from services.audit.reviews import describe
    from services.cli.loop import run_async
    from services.cli.terminal import print_rows

    found = run_async(_read(read_settings(bus, server, data)))
    rows = [describe(each) for each in found.values() if every or each.status == "open"]
    print_rows(rows, ("review_id", "run_id", "stage", "status", "votes", "quorum", "question"), as_json)


async def _read(settings: Settings) -> dict[str, Review]:
    from services.audit.reviews import REVIEWED, fold_reviews
    from services.cli.connection import reading

    async with reading(settings) as bus:
        return fold_reviews([each async for each in bus.subscribe("review", REVIEWED, live=False)])


@app.command()
def vote(
    review: Annotated[str, typer.Argument(metavar="REVIEW", help="Id of the review.")],
    approve: Annotated[bool, typer.Option("--approve/--reject", help="The judgement.")],
    comment: Annotated[str, typer.Option("--comment", help="Why; a rejection's comment is the feedback.")] = "",
    reviewer: Annotated[str, typer.Option("--reviewer", help="Who judges; by default who is logged in.")] = "",
    role: Annotated[
        list[str] | None, typer.Option("--role", help="role:NAME or profession:NAME that they hold.")
    ] = None,
    choice: Annotated[
        str, typer.Option("--choice", help="Which of the choices, where the review has some; otherwise the first.")
    ] = "",
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Vote on what stands there now."""
    import getpass

    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line

    settings = read_settings(bus, server, data)
    who = reviewer or getpass.getuser()
    run_async(_vote(settings, review, who, tuple(role or ()), approve, comment, choice))
    if as_json:
        print_json({"review_id": review, "reviewer": who, "approve": approve, "counted": True})
    else:
        print_line(f"{review}  {'approved' if approve else 'rejected'} by {who}")


async def _vote(
    settings: Settings, review_id: str, reviewer: str, roles: tuple[str, ...], approve: bool, comment: str, choice: str
) -> None:
    from services.audit.reviews import REVIEWED, fold_reviews
    from services.cli.answer import obtain
    from services.cli.connection import asking
    from services.records.review import ReviewVoteRequested, VoteRecorded, VoteRefused

    async with asking(settings) as bus:
        found = fold_reviews([each async for each in bus.subscribe("review", REVIEWED, live=False)]).get(review_id)
        if found is None:
            raise Wrong(f"there is no review {review_id}")
        request = ReviewVoteRequested(
            workspace_id=found.workspace_id,
            review_id=review_id,
            reviewer=reviewer,
            roles=roles,
            approve=approve,
            comment=comment,
            seen=found.subject,
            choice=choice,
        )
        words = "the vote does not count"
        await obtain(bus, request, [VoteRecorded], (VoteRefused,), key=found.workspace_id, words=words)
