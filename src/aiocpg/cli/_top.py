"""``aiocpg top``: the groups of the cluster and what goes on in them, renewed again and again."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated, Any

import anyio
import typer

from aiocpg import Address, Connection, Group, Message, SlowConsumerError, connect

from ._listen import batches
from ._listing import Listing
from ._options import AsJson, GroupNames, Url
from ._output import Output, table_of
from ._records import Record, addresses
from ._running import run
from ._text import shown_name

if TYPE_CHECKING:
    from rich.live import Live

_STALL_AFTER = 2.0
"""Seconds without an answer after which the daemon counts as stalled."""


def top(
    groups: GroupNames = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 1,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many looks.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """
    Show groups, members and rates, again and again.

    Rates are of the groups that are named. These are joined, as a listener that sends nothing: the others see it come
    and go. The others are only asked about.
    """

    async def watching(out: Output) -> None:
        async with AsyncExitStack() as stack:
            # The task group is the outermost, so that the counters read to the end when the groups are left.
            tasks = await stack.enter_async_context(anyio.create_task_group())
            cpg = await stack.enter_async_context(connect(url, stall_after=_STALL_AFTER))
            counters = {}
            for name in dict.fromkeys(groups or ()):
                counters[name] = Counter(await stack.enter_async_context(cpg.join(name)))
                tasks.start_soon(counters[name].run)
            async with anyio.create_task_group() as asking:
                listing = Listing(cpg, interval)
                asking.start_soon(listing.run)
                await listing.until_answered()
                await _look(Watch(cpg, listing, counters), Screen(out), interval, count)
                asking.cancel_scope.cancel()

    run(watching, as_json=as_json, endless=count is None)


async def _look(watch: Watch, screen: Screen, interval: float, count: int | None) -> None:
    looks = 0
    try:
        while count is None or looks < count:
            # The first look has an interval behind it, too, or its rates would be of nothing.
            await anyio.sleep(interval)
            await screen.show(watch.look())
            looks += 1
    finally:
        screen.close()


class Counter:
    """Counts what is sent in a group."""

    def __init__(self, group: Group) -> None:
        self._messages = group.messages()
        self.messages = self.bytes = self.lost = 0
        self._before = (time.monotonic(), 0, 0)

    async def run(self) -> None:
        """Count until the group is left."""
        async for batch in batches(self._messages):
            for one in batch:
                if isinstance(one, Message):
                    self.messages += 1
                    self.bytes += len(one.data)
                elif isinstance(one, SlowConsumerError):
                    self.lost += one.lost

    def rates(self) -> Record:
        """What came since this was asked before, per second, and in all."""
        then, messages, size = self._before
        self._before = now, _, _ = time.monotonic(), self.messages, self.bytes
        took = max(now - then, 1e-9)
        return {
            "messages_per_second": round((self.messages - messages) / took, 1),
            "bytes_per_second": round((self.bytes - size) / took),
            "messages": self.messages,
            "bytes": self.bytes,
            "lost": self.lost,
        }


class Watch:
    """What is looked at."""

    def __init__(self, cpg: Connection, listing: Listing, counters: dict[bytes, Counter]) -> None:
        self._cpg = cpg
        self._listing = listing
        self._counters = counters

    def look(self) -> Record:
        """What is known; ``query_ms`` says how long the daemon took to list the groups, in milliseconds."""
        health = self._cpg.health
        return {
            "event": "top",
            "time": round(time.time(), 6),
            "nodeid": self._cpg.nodeid,
            "ring": str(health.ring.ring_id) if health.ring else None,
            "nodes": list(health.ring.nodes) if health.ring else None,
            "query_ms": round(self._listing.took * 1000, 3),
            "congested_for": round(self._listing.congested_for, 3),
            "stalled_for": round(health.stalled_for, 3),
            "lags": self._cpg.lags,
            "groups": [self._group(name, members) for name, members in sorted(self._listing.groups.items())],
        }

    def _group(self, name: bytes, members: tuple[Address, ...]) -> Record:
        rates = self._counters[name].rates() if name in self._counters else {}
        return {"group": shown_name(name), "members": addresses(members), **rates}


class Screen:
    """Where looks go: over one another on a terminal, else one a line."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._live: Live | None = None

    async def show(self, look: Record) -> None:
        """Show a look."""
        if not self._out.is_for_people:
            await self._out.tell_table([look], (), ())
        else:
            await self._out.draw(lambda: self._draw(look))

    def close(self) -> None:
        """Give the cursor back."""
        if self._live is not None:
            self._live.stop()

    def _draw(self, look: Record) -> None:
        from rich.live import Live  # noqa: PLC0415 - only where there is a terminal

        if self._live is None:
            self._live = Live(auto_refresh=False)
            self._live.start()
        self._live.update(_rendered(look), refresh=True)


def _rendered(look: Record) -> Any:
    from rich.console import Group as Renderables  # noqa: PLC0415 - only where there is a terminal
    from rich.text import Text  # noqa: PLC0415

    ring = f"ring {look['ring']}, nodes {' '.join(map(str, look['nodes']))}" if look["ring"] else "ring not told yet"
    busy = f", congested for {look['congested_for']} s" if look["congested_for"] else ""
    stall = f", silent for {look['stalled_for']} s" if look["stalled_for"] else ""
    head = f"node {look['nodeid']}, {ring}, answers in {look['query_ms']} ms{busy}{stall}, {look['lags']} lags of ours"
    columns = ("group", "number", "msg/s", "bytes/s", "total", "members")
    return Renderables(Text(head, style="bold"), table_of(columns, map(_row, look["groups"])))


def _row(group: Record) -> tuple[str, ...]:
    counted = (f"{group[key]:,}" if key in group else "" for key in _COUNTED)
    return (group["group"], str(len(group["members"])), *counted, " ".join(group["members"]))


_COUNTED = ("messages_per_second", "bytes_per_second", "messages")
