"""``aiocpg send``: messages from a shell, each confirmed."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Annotated

import typer

from aiocpg import Group, Receipt, connect

from ._input import input_lines, whole_input
from ._options import AsJson, GroupName, Url
from ._output import Output
from ._records import Fact
from ._running import run
from ._text import shown_name


def send(
    group: GroupName,
    data: Annotated[str | None, typer.Argument(metavar="[DATA|-]", help="The message; - or none reads stdin.")] = None,
    lines: Annotated[bool, typer.Option("--lines", help="Send each line of stdin as a message.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """
    Send a message and wait for its place in the order.

    Prints that place. Who sends is a member while it does: the others see it come and go. Positions count from its
    join.
    """
    typed = None if data in (None, "-") else os.fsencode(data or "")
    if lines and typed is not None:
        raise typer.BadParameter("--lines sends the lines of stdin, and there is DATA")

    async def sending(out: Output) -> None:
        async with connect(url) as cpg, cpg.join(group, max_buffered_bytes=0) as joined:
            async for message in _messages(typed, lines, joined.max_message_size):
                await out.tell(_sent(joined, message, await joined.mcast_confirmed(message)))

    run(sending, as_json=as_json)


async def _messages(typed: bytes | None, lines: bool, limit: int) -> AsyncIterator[bytes]:
    if typed is not None:
        yield typed
    elif not lines:
        yield await whole_input(limit)
    else:
        async for line in input_lines(limit):
            yield line


def _sent(group: Group, message: bytes, receipt: Receipt) -> Fact:
    record = {
        "event": "sent",
        "group": shown_name(group.name),
        "sender": str(group.me),
        "position": receipt.position,
        "bytes": len(message),
        "members": len(receipt.view.members),
    }
    where = f"{len(message)} bytes, position {receipt.position}, in a group of {len(receipt.view.members)}"
    return Fact(record, (("sent ", "green"), (where, "")))
