"""The engine at hand: who asks while it is away waits, and is told when there will be none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from aiocpg import (
    ConnectionClosedError,
    ConnectionLostError,
    CPGError,
    EngineUnavailableError,
    Reconnect,
    RingChange,
    RingId,
)
from aiocpg._link import Link, Return
from aiocpg._loop import current_port
from aiocpg.engine._base import Engine
from support.running import turns, until
from support.undelivered import UndeliveringEngine

pytestmark = pytest.mark.anyio

LOST = ConnectionLostError("gone")
REFUSED = EngineUnavailableError("no access", "ask for it")
QUICK = Reconnect(first_pause=0.001)


class Owner:
    """
    Who hears of a link.

    Attributes:
        heard: What, in order.
    """

    def __init__(self, link: Link) -> None:
        self.heard: list[Any] = []
        link.listen(self)

    def on_ring(self, change: RingChange) -> None:
        """Write it down."""
        self.heard.append(change)

    def on_away(self, error: ConnectionLostError) -> None:
        """Write it down."""
        self.heard.append("away")

    def on_back(self) -> None:
        """Write it down."""
        self.heard.append("back")

    def on_over(self, error: CPGError) -> None:
        """Write it down."""
        self.heard.append(error)


def link_to(*outcomes: Engine | CPGError, way_back: bool = True) -> tuple[Link, Owner]:
    """Return a link whose next engines are these, and its owner."""
    left = list(outcomes)

    async def open_engine() -> Engine:
        if not left:
            await anyio.sleep_forever()
        outcome = left.pop(0)
        if isinstance(outcome, CPGError):
            raise outcome
        return outcome

    link = Link(UndeliveringEngine(), current_port(), Return(QUICK, open_engine) if way_back else None)
    return link, Owner(link)


async def test_loss_without_a_way_back_is_the_end() -> None:
    """Told once, and raised to whoever asks."""
    link, owner = link_to(way_back=False)
    link.on_lost(LOST)
    assert owner.heard == [LOST]
    with pytest.raises(ConnectionLostError):
        await link.until_there()


async def test_who_asks_while_it_is_away_gets_the_next_engine() -> None:
    """The loss is counted when it is over."""
    following = UndeliveringEngine()
    link, owner = link_to(following)
    link.on_lost(LOST)
    assert link.is_away
    assert await link.until_there() is following
    assert (link.is_away, link.away_for, link.returns) == (False, 0.0, 1)
    assert owner.heard == ["away", "back"]
    link.close()


async def test_rings_of_the_engine_are_handed_on() -> None:
    """From the first engine as from the next."""
    link, owner = link_to()
    ring = RingChange(RingId(1, 4), (1,))
    link.on_ring(ring)
    assert owner.heard == [ring]
    link.close()


@pytest.mark.parametrize(
    ("end", "error"),
    [(lambda link: None, EngineUnavailableError), (Link.close, ConnectionClosedError)],
    ids=["refused", "closed"],
)
async def test_who_waits_is_told_that_there_will_be_none(end: Callable[[Link], None], error: type[CPGError]) -> None:
    """It is refused for good, or this side closes meanwhile."""
    link, _ = link_to(*([REFUSED] if error is EngineUnavailableError else []))

    async def ask() -> None:
        with pytest.raises(error):
            await link.until_there()

    link.on_lost(LOST)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await turns()
        end(link)
    assert not link.is_away


async def test_fault_of_our_own_is_not_come_back_from() -> None:
    """It would only happen again."""
    link, owner = link_to(UndeliveringEngine())
    fault = ConnectionLostError("a fault in aiocpg itself")
    fault.__cause__ = ZeroDivisionError()
    link.on_lost(fault)
    assert [type(heard) for heard in owner.heard] == [EngineUnavailableError]  # no loss, behind which readers go on
    assert owner.heard[0].__cause__ is fault.__cause__


async def test_loss_while_we_close_is_not_come_back_from() -> None:
    """Nobody wants it any more."""
    link, owner = link_to(UndeliveringEngine())
    link.close()
    link.on_lost(LOST)
    assert (owner.heard, link.is_away) == ([], False)


async def test_engine_with_a_smaller_limit_is_refused() -> None:
    """Messages that wait were checked against the old one."""
    smaller = UndeliveringEngine()
    smaller.max_message_size -= 1
    link, owner = link_to(smaller)
    link.on_lost(LOST)
    await until(lambda: len(owner.heard) == 2)
    assert "smaller limit" in str(owner.heard[-1])
