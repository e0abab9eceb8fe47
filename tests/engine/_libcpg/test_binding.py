"""The slow calls on a real daemon: names, numbers and errors come through as they are."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

import pytest

from aiocpg._events import Address, ConfigurationChange, MemberChange, Reason
from aiocpg.engine._libcpg import binding
from aiocpg.engine._libcpg.binding import Arena, Handle, IterationHandle, Status
from aiocpg.errors import GroupNameError, StatusError, UsageError
from aiocpg.testing import ClusterNode
from support.handles import drain, inside, open_handle, open_member, wait_until

ME = Address(1, os.getpid())
NONE = Handle(12345)


def test_initialize_leaks_nothing_when_flags_are_unknown(node: ClusterNode) -> None:
    """Flags that libcpg would refuse only after connecting are refused before: no descriptor, no shared memory."""
    with open_handle(node):
        files, descriptors = set(node.shm_files()), len(os.listdir("/proc/self/fd"))
        with pytest.raises(StatusError, match="INVALID_PARAM"):
            inside(node, lambda: binding.initialize(2))
        # Fewer are well: the daemon may still give back what an earlier test had.
        assert set(node.shm_files()) <= files
        assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_finalize_says_bad_handle_when_called_twice(node: ClusterNode) -> None:
    """A handle is closed once."""
    with open_handle(node) as handle:
        binding.finalize(handle)
        with pytest.raises(StatusError, match="BAD_HANDLE"):
            binding.finalize(handle)


def test_local_calls_answer_when_open(node: ClusterNode) -> None:
    """Calls that only look give what libcpg has."""
    with open_handle(node) as handle:
        assert os.readlink(f"/proc/self/fd/{binding.fd_get(handle)}").startswith("socket:")
        assert binding.max_atomic_msgsize_get(handle) == 1_047_552
        assert binding.local_get(handle) == 1
        assert binding.flow_control_state_get(handle) is False


@pytest.mark.parametrize("context", [1, 2**63 + 5, 2**64 - 1, 0])
def test_context_is_kept_as_it_was_given(node: ClusterNode, context: int) -> None:
    """A context is a number as large as a pointer."""
    with open_handle(node) as handle:
        assert binding.context_get(handle) == 0
        binding.context_set(handle, context)
        assert binding.context_get(handle) == context


@pytest.mark.parametrize("name", [b"a", b"crmd\0", b"\0", b"\xff" * 127, "ü".encode()])
def test_name_comes_back_as_given(node: ClusterNode, name: bytes) -> None:
    """Any bytes are a name, from one to 127, also those that C would end early."""
    with open_member(node, name) as handle:
        assert binding.membership_get(handle, name) == (ME,)
        iteration = binding.iteration_initialize(handle, 2, name)
        assert binding.iteration_next(iteration) == (name, ME)
        binding.leave(handle, name)
        left = (MemberChange(ME, Reason.LEAVE),)
        assert drain(handle, Arena(), 1) == [ConfigurationChange(name, (), (), left)]


@pytest.mark.parametrize("name", [b"", b"x" * 128])
@pytest.mark.parametrize("call", [binding.join, binding.leave, binding.membership_get])
def test_name_is_refused_when_too_short_or_too_long(
    node: ClusterNode, call: Callable[[Handle, bytes], object], name: bytes
) -> None:
    """An empty name makes a ghost and one of 128 bytes runs over the daemon's buffer."""
    with open_handle(node) as handle, pytest.raises(GroupNameError):
        call(handle, name)


def test_membership_is_empty_when_nobody_is_there(node: ClusterNode) -> None:
    """An unknown group is a group without members."""
    with open_handle(node) as handle:
        assert binding.membership_get(handle, b"nobody") == ()


def test_second_join_is_refused_when_one_process_is_in_the_group(node: ClusterNode) -> None:
    """Statuses of the daemon arrive as errors with call, code and name."""
    with open_member(node, b"once"), open_handle(node) as second, pytest.raises(StatusError) as caught:
        binding.join(second, b"once")
    assert (caught.value.call, caught.value.code, caught.value.name) == ("cpg_join", 14, "CS_ERR_EXIST")


def names(handle: Handle) -> list[bytes]:
    """Return the names of all groups."""
    found: list[bytes] = []
    iteration = binding.iteration_initialize(handle, 1)
    with contextlib.suppress(StatusError):  # NO_SECTIONS, at the end
        while True:
            found.append(binding.iteration_next(iteration)[0])
    binding.iteration_finalize(iteration)
    return found


def test_iteration_lists_groups_when_asked_for_names(node: ClusterNode) -> None:
    """Names come with the address 0:0 and the end is NO_SECTIONS."""
    with open_member(node, b"one") as one, open_member(node, b"two"):
        # Who was there in an earlier test may still be on its way out.
        wait_until(lambda: set(names(one)) == {b"one", b"two"})
        iteration = binding.iteration_initialize(one, 1)
        found = {binding.iteration_next(iteration), binding.iteration_next(iteration)}
        assert found == {(b"one", Address(0, 0)), (b"two", Address(0, 0))}
        with pytest.raises(StatusError, match="NO_SECTIONS"):
            binding.iteration_next(iteration)
        binding.iteration_finalize(iteration)
        with pytest.raises(StatusError, match="BAD_HANDLE"):
            binding.iteration_next(iteration)


def test_iteration_is_refused_when_kind_and_group_do_not_fit(node: ClusterNode) -> None:
    """libcpg's own checks come through."""
    with open_handle(node) as handle, pytest.raises(StatusError, match="INVALID_PARAM"):
        binding.iteration_initialize(handle, 3, b"group")


def test_mcast_joined_gathers_when_given_63_buffers_of_every_kind(node: ClusterNode) -> None:
    """Pieces arrive as one message, in order; bytes, bytearray and memoryview alike, empty ones too."""
    pieces = [bytes([n]) * n for n in range(61)]
    with open_member(node, b"gather") as handle:
        binding.mcast_joined(handle, 2, [*pieces, bytearray(b"array"), memoryview(b"a view")[2:]])
        assert drain(handle, Arena(), 1) == [(ME, b"".join(pieces) + b"arrayview")]


def test_mcast_joined_sends_nothing_as_a_message_when_given_no_buffers(node: ClusterNode) -> None:
    """A message of 0 bytes is a message."""
    with open_member(node, b"nothing") as handle:
        binding.mcast_joined(handle, 2, [])
        binding.mcast_joined(handle, 2, [b""])
        assert drain(handle, Arena(), 2) == [(ME, b""), (ME, b"")]


def test_mcast_joined_is_refused_when_given_64_buffers(node: ClusterNode) -> None:
    """libcpg would write past the end of its array."""
    with open_member(node, b"many") as handle, pytest.raises(UsageError, match="63"):
        binding.mcast_joined(handle, 2, [b"x"] * 64)


@pytest.mark.parametrize("over", [0, 1, 2_000_000])
def test_mcast_joined_delivers_whole_when_message_is_larger_than_atomic(node: ClusterNode, over: int) -> None:
    """The largest atomic message, and native fragments beyond it, come back as one delivery."""
    data = os.urandom(1_047_552 + over)
    with open_member(node, b"large") as handle:
        binding.mcast_joined(handle, 2, [data])
        assert drain(handle, Arena(), 1) == [(ME, data)]


def test_every_call_says_bad_handle_when_there_is_none() -> None:
    """A wrong number is an error, never a crash."""
    calls: list[Callable[[], object]] = [
        lambda: binding.finalize(NONE),
        lambda: binding.fd_get(NONE),
        lambda: binding.max_atomic_msgsize_get(NONE),
        lambda: binding.context_get(NONE),
        lambda: binding.context_set(NONE, 1),
        lambda: binding.join(NONE, b"g"),
        lambda: binding.leave(NONE, b"g"),
        lambda: binding.membership_get(NONE, b"g"),
        lambda: binding.local_get(NONE),
        lambda: binding.flow_control_state_get(NONE),
        lambda: binding.iteration_initialize(NONE, 1),
        lambda: binding.iteration_next(IterationHandle(NONE)),
        lambda: binding.iteration_finalize(IterationHandle(NONE)),
        lambda: binding.mcast_joined(NONE, 2, [b"x"]),
        lambda: binding.Guard(NONE, 0),
    ]
    for call in calls:
        with pytest.raises(StatusError, match="BAD_HANDLE"):
            call()
    assert binding.drain(NONE, Arena(), 1, 1) == (Status.BAD_HANDLE, [])
    assert binding.dispatch(NONE, Arena(), 4) == (Status.BAD_HANDLE, [])
