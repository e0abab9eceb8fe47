"""What every engine promises, at the engine's own edge, with a real daemon behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import anyio
import anyio.lowlevel
import pytest

from aiocpg import Address, AlreadyJoinedError, ConfigurationChange, MemberChange, Reason, RingChange
from aiocpg._loop import current_port
from aiocpg._state.history import Record
from aiocpg.engine import open_engine
from aiocpg.engine._base import MAX_BYTES_PER_DRAIN, MAX_EVENTS_PER_DRAIN, Engine, Membership
from aiocpg.errors import ConnectionLostError, CPGError
from aiocpg.testing import ClusterNode
from support.running import until

pytestmark = pytest.mark.anyio


class Member:
    """
    Listens to a membership and keeps what it drains.

    Attributes:
        batches: What each drain gave.
        errors: What ``on_lost`` was told.
        is_lazy: Whether to drain nothing for now.
    """

    def __init__(self, membership: Membership, *, is_lazy: bool = False) -> None:
        self.membership = membership
        self.batches: list[Sequence[Record]] = []
        self.errors: list[CPGError] = []
        self.is_lazy = is_lazy
        membership.listen(self)

    @property
    def records(self) -> list[Record]:
        """All that has come."""
        return [record for batch in self.batches for record in batch]

    @property
    def messages(self) -> list[tuple[Address, bytes]]:
        """The messages among it: a daemon that the machine holds up forms its ring anew, which is another record."""
        return [record for record in self.records if isinstance(record, tuple)]

    def on_readable(self) -> None:
        """Drain."""
        if not self.is_lazy:
            self.batches.append(self.membership.drain())

    def on_writable(self) -> None:
        """Nothing waits for it."""

    def on_lost(self, error: CPGError) -> None:
        """Keep it."""
        self.errors.append(error)


class Rings:
    """Listens to an engine."""

    def __init__(self) -> None:
        self.rings: list[RingChange] = []
        self.errors: list[CPGError] = []

    def on_ring(self, change: RingChange) -> None:
        """Keep it."""
        self.rings.append(change)

    def on_lost(self, error: CPGError) -> None:
        """Keep it."""
        self.errors.append(error)


@pytest.fixture
def rings() -> Rings:
    """Who listens to the engine."""
    return Rings()


@pytest.fixture
async def engine(node: ClusterNode, rings: Rings) -> AsyncIterator[Engine]:
    """An engine that somebody listens to."""
    engine = await open_engine("corosync://", current_port(), enter=node.enter)
    engine.listen(rings)
    yield engine
    await engine.aclose()


def joined(me: Address) -> ConfigurationChange:
    """Return the change that shows us coming into an empty group."""
    return ConfigurationChange(b"group", (me,), (MemberChange(me, Reason.JOIN),), ())


def left(me: Address) -> ConfigurationChange:
    """Return the change that shows us leaving."""
    return ConfigurationChange(b"group", (), (), (MemberChange(me, Reason.LEAVE),))


async def test_own_join_comes_first_then_the_ring_then_messages(engine: Engine) -> None:
    """Also where the messages were sent before the join had come back."""
    member = Member(await engine.join(b"group"))
    assert member.membership.mcast(b"early")
    assert member.membership.mcast_many([b"a", b"b"]) == 2
    await until(lambda: len(member.messages) == 3)
    me = member.membership.me
    change, ring, *_ = member.records
    assert change == joined(me)
    assert isinstance(ring, RingChange)
    assert member.messages == [(me, b"early"), (me, b"a"), (me, b"b")]


async def test_own_departure_comes_behind_all_that_was_taken(engine: Engine) -> None:
    """And after it nothing that counts."""
    member = Member(await engine.join(b"group"))
    me = member.membership.me
    await until(lambda: member.records)
    assert member.membership.mcast_many([b"%d" % n for n in range(50)]) == 50
    await member.membership.leave()
    await until(lambda: left(me) in member.records)
    assert member.messages == [(me, b"%d" % n) for n in range(50)]
    assert member.records[-1] == left(me)
    await member.membership.aclose()
    await member.membership.aclose()
    assert member.errors == []


async def test_drain_takes_a_budget_and_is_called_again(engine: Engine) -> None:
    """A flood does not hold the loop; a partly drained batch needs no new traffic to go on."""
    member = Member(await engine.join(b"group"))
    await until(lambda: len(member.records) >= 2)
    member.batches.clear()
    member.is_lazy = True
    sent = 0
    while sent < 1000:
        sent += member.membership.mcast_many([b"x"] * (1000 - sent))
        await anyio.lowlevel.checkpoint()
    member.is_lazy = False
    await until(lambda: len(member.messages) == 1000)
    assert max(map(len, member.batches)) <= MAX_EVENTS_PER_DRAIN
    member.membership.abandon()


async def test_drain_ends_behind_the_event_that_passes_the_bytes(engine: Engine) -> None:
    """One mebibyte of payload per turn."""
    member = Member(await engine.join(b"group"))
    await until(lambda: len(member.records) >= 2)
    member.batches.clear()
    most = bytes(engine.max_message_size)
    for _ in range(3):
        await until(lambda: member.membership.mcast(most))
    await until(lambda: len(member.messages) == 3)
    for batch in member.batches:
        sizes = [len(record[1]) for record in batch if isinstance(record, tuple)]
        assert sum(sizes[:-1]) <= MAX_BYTES_PER_DRAIN
    member.membership.abandon()


async def test_group_that_is_held_is_refused(engine: Engine) -> None:
    """Until the membership has ended."""
    membership = await engine.join(b"group")
    with pytest.raises(AlreadyJoinedError):
        await engine.join(b"group")
    await membership.aclose(hard=True)
    again = await engine.join(b"group")
    again.abandon()


async def test_ring_is_reported_when_asked_for(engine: Engine, rings: Rings) -> None:
    """Once, until it changes."""
    engine.ask_ring()
    engine.ask_ring()
    await until(lambda: rings.rings)
    assert {change.nodes for change in rings.rings} == {(1,)}
    assert len(rings.rings) == len(set(rings.rings))


async def test_loss_is_told_once_and_raised_by_every_call(fresh_node: ClusterNode, rings: Rings) -> None:
    """What was drained before stays."""
    engine = await open_engine("corosync://", current_port(), enter=fresh_node.enter)
    engine.listen(rings)
    member = Member(await engine.join(b"group"))
    await until(lambda: len(member.records) >= 2)
    fresh_node.kill()
    await until(lambda: member.errors and rings.errors)
    with pytest.raises(ConnectionLostError):
        member.membership.mcast(b"x")
    with pytest.raises(ConnectionLostError):
        member.membership.mcast_many([b"x"])
    for call in (member.membership.leave(), member.membership.mcast_native(b"x"), engine.join(b"x"), engine.groups()):
        with pytest.raises(ConnectionLostError):
            await call
    await member.membership.aclose()
    await engine.aclose()
    assert member.records[0] == joined(member.membership.me)
    assert (len(member.errors), len(rings.errors)) == (1, 1)
