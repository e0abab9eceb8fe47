"""``aiocpg chat``: terminals that talk."""

from __future__ import annotations

from contextlib import suppress

import anyio

from aiocpg import Group, GroupClosedError, Message, connect

from ._input import input_lines
from ._listen import batches, facts_of
from ._options import AsJson, GroupName, Url
from ._output import Output
from ._probe import probe_in
from ._running import run


def chat(group: GroupName, url: Url = None, as_json: AsJson = False) -> None:
    """
    Talk: send lines, print those of others.

    Who comes and goes is printed, too. The end of the input (Ctrl-D) ends it, when all that was typed stands in the
    order; so does Ctrl-C. It answers aiocpg ping.
    """

    async def chatting(out: Output) -> None:
        # The reader stands outside of the group's block, so that it reads to the end when the group is left.
        async with anyio.create_task_group() as tasks, connect(url) as cpg, cpg.join(group) as joined:
            tasks.start_soon(_hear, joined, out)
            async for line in input_lines(joined.max_message_size):
                await joined.mcast(line)
            await joined.leave()

    run(chatting, as_json=as_json, endless=True)


async def _hear(group: Group, out: Output) -> None:
    """Print what others do, and answer their pings."""
    async for batch in batches(group.events()):
        others = [event for event in batch if not (isinstance(event, Message) and event.sender == group.me)]
        for event in others:
            if isinstance(event, Message):
                await answer(event, group)
        seen = [event for event in others if not (isinstance(event, Message) and probe_in(event.data))]
        await out.tell(*(fact for event in seen for fact in facts_of(event, group)))


async def answer(message: Message, group: Group) -> bool:
    """Answer a message if it is somebody's ping, unless we are leaving; whether it was one."""
    probe = probe_in(message.data)
    if probe is None or probe.kind != "ping" or message.sender == group.me:
        return False
    with suppress(GroupClosedError):
        await group.mcast(probe.answer)
    return True
