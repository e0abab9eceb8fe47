"""``aiocpg groups``, ``members`` and ``rings``: who and what is there."""

from __future__ import annotations

from typing import Annotated

import typer

from aiocpg import connect

from ._listen import batches, facts_of
from ._options import AsJson, GroupName, Url
from ._output import Output
from ._records import Fact, addresses, of_ring
from ._running import run
from ._text import shown_name


def groups(url: Url = None, as_json: AsJson = False) -> None:
    """Print all groups of the cluster and their members."""

    async def showing(out: Output) -> None:
        async with connect(url) as cpg:
            found = {shown_name(name): addresses(members) for name, members in (await cpg.groups()).items()}
        records = [{"event": "group", "group": name, "members": members} for name, members in found.items()]
        await out.tell_table(
            records, ("group", "number", "members"), [(n, str(len(m)), " ".join(m)) for n, m in found.items()]
        )

    run(showing, as_json=as_json)


def members(
    group: GroupName,
    watch: Annotated[bool, typer.Option("--watch", help="Join the group and print each change.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """
    Print who is in a group now.

    With --watch, who comes and goes as well, until told to end. Watching means being a member: the others see this
    program come and go. It sends nothing.
    """

    async def showing(out: Output) -> None:
        async with connect(url) as cpg:
            present = await cpg.members(group)
        record = {"event": "members", "group": shown_name(group), "members": addresses(present)}
        rows = [(str(member.nodeid), str(member.pid)) for member in present]
        await out.tell_table([record], ("node", "pid"), rows)

    async def watching(out: Output) -> None:
        async with connect(url) as cpg, cpg.join(group) as joined:
            async for batch in batches(joined.views()):
                await out.tell(*(fact for view in batch for fact in facts_of(view, joined)))

    run(watching if watch else showing, as_json=as_json, endless=watch)


def rings(
    watch: Annotated[bool, typer.Option("--watch", help="Print each new ring as well, until told to end.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """
    Print the ring: which nodes can talk to each other.

    Corosync tells it with a change of some group only; where there was none, a group that nobody else is in is joined
    for a moment.
    """

    async def showing(out: Output) -> None:
        async with connect(url) as cpg, cpg.rings() as stream:
            async for ring in stream:
                fact: Fact = of_ring(ring)
                await out.tell(fact)
                if not watch:
                    return

    run(showing, as_json=as_json, endless=watch)
