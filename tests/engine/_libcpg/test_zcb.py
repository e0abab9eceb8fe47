"""The zero-copy buffers: they work where they exist, and no mistake with them ends a process."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from aiocpg._events import Address
from aiocpg.engine._libcpg import binding
from aiocpg.engine._libcpg.binding import Arena, Handle
from aiocpg.engine._libcpg.zcb import zcb_alloc, zcb_free, zcb_mcast_joined
from aiocpg.errors import MessageTooBigError, StatusError, UsageError
from aiocpg.testing import ClusterNode, CorosyncCluster
from support.handles import drain, inside, open_handle, open_member

ME = Address(1, os.getpid())


@pytest.fixture
def member(node: ClusterNode) -> Iterator[Handle]:
    """A handle that has joined a group."""
    with open_member(node, b"zcb") as handle:
        yield handle


def test_message_arrives_when_sent_from_a_buffer(node: ClusterNode, member: Handle) -> None:
    """The first bytes of the buffer go out, as often as one likes."""
    buffer = inside(node, lambda: zcb_alloc(member, 1000))
    assert len(buffer.data) == 1000
    for text in (b"hello", b"again", b""):
        buffer.data[: len(text)] = text
        zcb_mcast_joined(member, 2, buffer, len(text))
        assert drain(member, Arena(), 1) == [(ME, text)]
    zcb_free(member, buffer)


def test_largest_buffer_is_sent_whole(node: ClusterNode, member: Handle) -> None:
    """The limit is that of an atomic message."""
    size = binding.max_atomic_msgsize_get(member)
    data = os.urandom(size)
    buffer = inside(node, lambda: zcb_alloc(member, size))
    buffer.data[:] = data
    zcb_mcast_joined(member, 2, buffer, size)
    assert drain(member, Arena(), 1) == [(ME, data)]
    zcb_free(member, buffer)


def test_buffer_is_refused_when_freed_or_foreign_or_short(node: ClusterNode, member: Handle) -> None:
    """Each would have been an access to memory that is not ours."""
    buffer = inside(node, lambda: zcb_alloc(member, 10))
    with pytest.raises(UsageError, match="10 bytes, 11"):
        zcb_mcast_joined(member, 2, buffer, 11)
    with open_handle(node) as other, pytest.raises(UsageError, match="another handle"):
        zcb_free(other, buffer)
    zcb_free(member, buffer)
    with pytest.raises(UsageError, match="freed"):
        zcb_free(member, buffer)
    with pytest.raises(ValueError, match="released"):
        buffer.data[0] = 1


def test_alloc_is_refused_when_the_size_is_out_of_range(node: ClusterNode, member: Handle) -> None:
    """From 1 byte to the largest atomic message."""
    with pytest.raises(MessageTooBigError):
        zcb_alloc(member, 1_047_553)
    with pytest.raises(UsageError, match="at least 1"):
        zcb_alloc(member, 0)


def test_alloc_says_no_space_when_shared_memory_is_full() -> None:
    """libcpg 3.1.7 would abort this process."""
    with CorosyncCluster(nodes=1, shm_size="32M") as cluster, open_handle(cluster.node(1)) as handle:

        def fill_and_alloc() -> None:
            room = os.statvfs("/dev/shm")
            with open("/dev/shm/filler", "wb") as filler:
                os.posix_fallocate(filler.fileno(), 0, room.f_bavail * room.f_frsize - 500_000)
            zcb_alloc(handle, 1_000_000)

        with pytest.raises(StatusError, match="NO_SPACE"):
            inside(cluster.node(1), fill_and_alloc)
