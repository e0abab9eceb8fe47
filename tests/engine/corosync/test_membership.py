"""One join: who may, how long it is tried, and what a native send, a leave and a close do to its handle."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator

import anyio
import pytest

from aiocpg import Address, CPGError
from aiocpg._loop import current_port
from aiocpg._state.history import Record
from aiocpg.engine._base import Engine
from aiocpg.engine._libcpg import binding
from aiocpg.engine._libcpg.status import Status
from aiocpg.engine.corosync import _membership, open_engine
from aiocpg.engine.corosync._daemon import Daemon
from aiocpg.engine.corosync._gate import GaveUp
from aiocpg.engine.corosync._membership import CorosyncMembership, join_on_thread
from aiocpg.engine.corosync._raw import Opener, RawHandle
from aiocpg.errors import StatusError
from aiocpg.testing import ClusterNode
from support.handles import inside, open_member
from support.running import stopped, until

ME = Address(1, os.getpid())


class Silent:
    """Listens to an engine, and does not care."""

    def on_ring(self, change: object) -> None:
        """Nothing."""

    def on_lost(self, error: CPGError) -> None:
        """Nothing."""


class Reader:
    """Drains a membership and keeps what came."""

    def __init__(self, membership: CorosyncMembership) -> None:
        self.membership = membership
        self.records: list[Record] = []
        membership.listen(self)

    @property
    def messages(self) -> list[bytes]:
        """The messages alone."""
        return [record[1] for record in self.records if isinstance(record, tuple)]

    def on_readable(self) -> None:
        """Drain."""
        self.records += self.membership.drain()

    def on_writable(self) -> None:
        """Nothing waits for it."""

    def on_lost(self, error: CPGError) -> None:
        """Nothing."""


@pytest.fixture
async def engine(node: ClusterNode) -> AsyncIterator[Engine]:
    """An engine at the session's node."""
    engine = await open_engine(current_port(), Daemon(node.enter), None)
    engine.listen(Silent())
    yield engine
    await engine.aclose()


@pytest.fixture
async def reader(engine: Engine) -> AsyncIterator[Reader]:
    """A member that drains."""
    membership = await engine.join(b"group")
    assert isinstance(membership, CorosyncMembership)
    reader = Reader(membership)
    await until(lambda: reader.records)
    yield reader
    await membership.aclose()


# -- Asking to join


def join(node: ClusterNode, opener: Opener | None = None) -> RawHandle:
    """Join on a thread."""
    return inside(node, lambda: join_on_thread(opener or Opener(Daemon()), b"group"))


@pytest.mark.usefixtures("no_leaks")
def test_group_that_stays_taken_is_given_up(node: ClusterNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time in which a departure would have come through; the handle is given back."""
    monkeypatch.setattr(_membership, "JOIN_RETRY_SECONDS", 0.1)
    with open_member(node, b"group"), pytest.raises(StatusError) as caught:
        join(node)
    assert caught.value.code == Status.EXIST


def test_group_that_becomes_free_is_joined(node: ClusterNode) -> None:
    """While an earlier membership of this process is on its way out."""
    with open_member(node, b"group") as handle:
        binding.leave(handle, b"group")
        threading.Timer(0.1, binding.finalize, [handle]).start()
        raw = join(node)
    raw.finalize()


@pytest.mark.usefixtures("no_leaks")
def test_join_can_be_called_back(node: ClusterNode) -> None:
    """While it tries."""
    opener = Opener(Daemon())
    with open_member(node, b"group"):
        threading.Timer(0.1, opener.give_up).start()
        with pytest.raises((GaveUp, StatusError)):
            join(node, opener)


# -- Sending natively, leaving, closing


@pytest.mark.anyio
async def test_nothing_else_is_sent_while_a_native_send_is_under_way(reader: Reader, node: ClusterNode) -> None:
    """libcpg takes one sender per handle; two would write into each other's fragments."""
    large = bytes(2_000_000)
    with stopped(node), anyio.move_on_after(0.05):
        await reader.membership.mcast_native(large)
        raise AssertionError("a stopped daemon has answered")
    assert reader.membership.is_sending_native
    assert not reader.membership.mcast(b"x")
    assert reader.membership.mcast_many([b"x"]) == 0
    await until(lambda: not reader.membership.is_sending_native)
    assert reader.membership.mcast(b"next")
    await until(lambda: b"next" in reader.messages)
    assert reader.messages in ([b"next"], [large, b"next"])


@pytest.mark.anyio
async def test_native_send_delivers_any_size(reader: Reader) -> None:
    """Whole, in its place among the others."""
    messages = [b"a", bytes(3_000_000), b"b"]
    for data in messages:
        await reader.membership.mcast_native(data)
    await until(lambda: len(reader.messages) == 3)
    assert reader.messages == messages


@pytest.mark.anyio
@pytest.mark.parametrize("hard", [True, False])
async def test_claim_is_released_by_closing(engine: Engine, hard: bool) -> None:
    """However it is closed; the next join waits for the daemon to see us go."""
    for _ in range(3):
        membership = await engine.join(b"group")
        await membership.aclose(hard=hard)


@pytest.mark.anyio
async def test_membership_is_named_by_the_daemons_node_and_our_pid(reader: Reader) -> None:
    """As libcpg tells the others."""
    assert reader.membership.me == ME
    assert reader.membership.name == b"group"
