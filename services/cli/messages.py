"""`clawx messages`: what instances and people say to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.failure import Failed, Wrong
from services.cli.option import WORKSPACE_DEFAULT, Bus, Data, Json, Server, Workspace, read_settings

if TYPE_CHECKING:
    from bus.client import Bus as OpenBus
    from services.audit.messages import Sending
    from services.records.message import MessageRequested, MessageSent
    from services.settings import Settings

app = typer.Typer(help="What instances and people say to each other.", no_args_is_help=True)

REPLY_S_MAX = 3600.0
"""How long an answer to a message is waited for; the message has most often expired by then."""


@app.command("list")
def list_(
    run: Annotated[str, typer.Option("--run", metavar="RUN", help="Of this run only.")] = "",
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List messages, the oldest first, with who has received them."""
    from services.audit.messages import describe
    from services.cli.loop import run_async
    from services.cli.terminal import print_rows

    found = run_async(_read(read_settings(bus, server, data)))
    rows = [describe(each) for each in found.values() if run in ("", each.run_id)]
    heads = ("message_id", "status", "message_type", "source_instance", "target_instance", "rounds", "reason")
    print_rows(rows, heads, as_json)


async def _read(settings: Settings) -> dict[str, Sending]:
    from services.audit.messages import MESSAGED, fold_messages
    from services.cli.connection import reading

    async with reading(settings) as bus:
        return fold_messages([each async for each in bus.subscribe("task", MESSAGED, live=False)])


@app.command()
def send(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="An instance's id, profession:NAME, team:NAME or all.")
    ],
    payload: Annotated[str, typer.Argument(metavar="PAYLOAD", help="JSON; what is none is sent as a text.")],
    kind: Annotated[
        str, typer.Option("--type", metavar="TYPE", help="notification, request, feedback … or CHANNEL.NAME.")
    ] = "notification",
    priority: Annotated[int, typer.Option("--priority", help="From -9 to 9; the highest first.")] = 0,
    requires_ack: Annotated[
        bool, typer.Option("--ack", help="It counts as received when the program says so.")
    ] = False,
    expires_in: Annotated[str, typer.Option("--expires-in", metavar="TIME", help="Such as 10m.")] = "1h",
    run: Annotated[str, typer.Option("--run", metavar="RUN", help="The run that it belongs to.")] = "",
    reply_to: Annotated[str, typer.Option("--reply-to", metavar="MESSAGE", help="The message that it answers.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait for an answer and print it.")] = False,
    workspace: Workspace = WORKSPACE_DEFAULT,
    bus: Bus = "",
    server: Server = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Send a message. It is sent again until received, or until it has expired."""
    from services.cli.loop import run_async
    from services.cli.terminal import print_json, print_line
    from services.definitions.duration import read_duration
    from services.records.message import MessageContext

    try:
        expires_in_ms = read_duration(expires_in)
    except ValueError as error:
        raise Wrong(f"--expires-in: {error}") from error
    draft = _draft(workspace, target, kind, payload).model_copy(
        update={
            "run_id": run,
            "reply_to": reply_to,
            "expires_in_ms": expires_in_ms,
            "context": MessageContext(workflow_id=run, priority=priority, requires_ack=requires_ack),
        }
    )
    message_id, answer = run_async(_send(read_settings(bus, server, data), draft, wait))
    if as_json:
        print_json({"message_id": message_id, "answer": answer})
    else:
        print_line(f"{message_id}  {answer}" if wait else message_id)


def _draft(workspace: str, target: str, kind: str, payload: str) -> MessageRequested:
    import getpass
    import json

    from bus.blobs import digest_of
    from services.records.content import Content
    from services.records.message import PAYLOAD_BYTES_MAX, REQUESTS, MessageContext, channel_of

    try:
        request = REQUESTS[channel_of(kind)]
    except ValueError as error:
        raise Wrong(str(error)) from error
    try:
        value = json.loads(payload)
    except ValueError:
        value = payload
    data = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    if len(data) > PAYLOAD_BYTES_MAX:
        raise Wrong(f"the payload has {len(data)} bytes, more than {PAYLOAD_BYTES_MAX}; share an artifact")
    content = Content(
        name="payload", digest=digest_of(data), size=len(data), media_type="application/json", inline=data
    )
    return request(
        workspace_id=workspace,
        actor=getpass.getuser(),
        target_instance=target,
        message_type=kind,
        payload=content,
        context=MessageContext(),
    )


async def _send(settings: Settings, draft: MessageRequested, wait: bool) -> tuple[str, object]:
    from services.cli.answer import obtain
    from services.cli.connection import asking
    from services.records.message import PAYLOAD_INLINE_BYTES_MAX, MessageRefused, MessageSent

    async with asking(settings) as bus:
        if draft.payload.size > PAYLOAD_INLINE_BYTES_MAX:
            await bus.blobs.put(draft.payload.inline or b"")
            draft = draft.model_copy(update={"payload": draft.payload.model_copy(update={"inline": None})})
        words = "the message was not sent"
        key = draft.workspace_id
        answer = await obtain(bus, draft, [MessageSent], (MessageRefused,), key=key, words=words, channel="task")
        said = answer.record
        assert isinstance(said, MessageSent)
        return said.message.message_id, await _answer(bus, said) if wait else None


async def _answer(bus: OpenBus, sent: MessageSent) -> object:
    """The payload of the first answer; raises Failed when the message expires before."""
    from bus.record import Envelope, Record
    from services.audit.messages import describe, fold_messages
    from services.cli.answer import wait_for
    from services.records.message import MessageExpired, MessageSent

    message_id = sent.message.message_id

    def is_it(envelope: Envelope) -> bool:
        record = envelope.record
        if isinstance(record, MessageExpired):
            return bool(record.message_id == message_id)
        return bool(record.message.reply_to == message_id)

    kinds: tuple[type[Record], ...] = (MessageSent, MessageExpired)
    found = await wait_for(bus, "task", kinds, is_it, key=sent.workspace_id, wait_s=REPLY_S_MAX)
    if isinstance(found.record, MessageExpired):
        raise Failed(f"nobody answered: {found.record.reason}")
    (reply,) = fold_messages([found]).values()
    return describe(reply)["payload"]
