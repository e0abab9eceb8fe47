"""aiocpg.lowlevel on a real daemon: one call per function of libcpg, and its ways to dispatch."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiocpg import lowlevel
from aiocpg._events import Address, ConfigurationChange, Guarantee, MemberChange, Reason, RingChange
from aiocpg.engine._libcpg.arena import Arena
from aiocpg.errors import GroupNameError, StatusError, UsageError
from aiocpg.lowlevel import Delivery, DispatchFlag, Handle, IterationType
from aiocpg.testing import ClusterNode
from support.handles import inside, open_handle, open_member, unread_events, wait_readable, wait_until

ME = Address(1, os.getpid())
HELLO = Delivery(b"group", ME, b"hello")


@pytest.fixture
def member(node: ClusterNode) -> Iterator[Handle]:
    """A handle that has joined a group and has nothing to dispatch."""
    with open_member(node, b"group") as handle:
        yield handle


def send(handle: Handle, *messages: bytes) -> None:
    """Send, and wait until all are back and undispatched."""
    for message in messages:
        lowlevel.mcast_joined(handle, Guarantee.AGREED, message)
    wait_until(lambda: unread_events(handle) == len(messages))


def test_there_is_a_call_for_every_function_of_libcpg() -> None:
    """What the table of functions has, people have, and ``__all__`` names it with everything else that is public."""
    table = Path(__file__).parents[1] / "src/aiocpg/engine/_libcpg/table.h"
    functions = set(re.findall(r"\(\*(\w+)\)\(", table.read_text()))
    assert len(functions) == 19
    assert functions | {"initialize"} == {
        name for name in lowlevel.__all__ if inspect.isfunction(getattr(lowlevel, name))
    }
    tree = ast.parse(Path(lowlevel.__file__).read_text())
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert {name for name in defined if not name.startswith("_")} <= set(lowlevel.__all__)


def test_table_has_every_function_of_the_header() -> None:
    """Nothing that corosync/cpg.h declares is missing; cpg_initialize is the older spelling of cpg_model_initialize."""
    header = subprocess.run(
        ["cc", "-E", "-P", "-include", "corosync/cpg.h", "-x", "c", "/dev/null"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    declared = set(re.findall(r"cs_error_t\s+cpg_(\w+)\s*\(", header))
    assert len(declared) == 20
    assert declared == {name for name in lowlevel.__all__ if inspect.isfunction(getattr(lowlevel, name))}


@pytest.mark.parametrize("name", [n for n in lowlevel.__all__ if inspect.isfunction(getattr(lowlevel, n))])
def test_docstring_tells_blocking_errors_and_man_page(name: str) -> None:
    """Who reaches for libcpg's calls must know which of them wait for ever."""
    text = inspect.getdoc(getattr(lowlevel, name)) or ""
    assert re.search(r"[Bb]lock|wait", text), "blocking is not mentioned"
    assert "Raises:" in text
    assert re.search(r"man pages?\b", text, re.I)
    for page in re.findall(r"cpg_\w+\(3\)", text):
        assert Path(f"/usr/share/man/man3/{page[:-3]}.3.gz").exists(), page


def test_life_of_a_member(node: ClusterNode) -> None:
    """Join, be seen, leave, be seen, finalize: the calls of every program, in their order."""
    handle = inside(node, lowlevel.initialize)
    lowlevel.join(handle, "life")
    wait_readable(handle)
    joined = ConfigurationChange(b"life", (ME,), (MemberChange(ME, Reason.JOIN),), ())
    assert lowlevel.dispatch(handle, DispatchFlag.ALL) == [joined]
    assert lowlevel.membership_get(handle, b"life") == (ME,)
    lowlevel.leave(handle, "life")
    wait_readable(handle)
    left = ConfigurationChange(b"life", (), (), (MemberChange(ME, Reason.LEAVE),))
    assert lowlevel.dispatch(handle, DispatchFlag.ALL) == [left]
    lowlevel.finalize(handle)
    with pytest.raises(StatusError, match="BAD_HANDLE"):
        lowlevel.dispatch(handle, DispatchFlag.ALL)


def test_model_initialize_gives_the_ring_when_asked(node: ClusterNode) -> None:
    """The flag of libcpg, and no other."""
    with open_handle(node, 1) as handle:
        lowlevel.join(handle, b"with ring")
        wait_until(lambda: unread_events(handle) == 2)
        _, ring = lowlevel.dispatch(handle, DispatchFlag.ALL)
        assert isinstance(ring, RingChange)
    with pytest.raises(StatusError, match="INVALID_PARAM"):
        inside(node, lambda: lowlevel.model_initialize(4))


def test_looking_calls_answer(member: Handle) -> None:
    """The calls that only look."""
    assert lowlevel.fd_get(member) > 2
    assert lowlevel.max_atomic_msgsize_get(member) == 1_047_552
    assert lowlevel.local_get(member) == 1
    assert lowlevel.flow_control_state_get(member) is False
    lowlevel.context_set(member, 4711)
    assert lowlevel.context_get(member) == 4711


def test_iteration_lists_a_group(member: Handle) -> None:
    """One line per member, then NO_SECTIONS."""
    for kind, group in ((IterationType.ONE_GROUP, "group"), (IterationType.ALL, None)):
        iteration = lowlevel.iteration_initialize(member, kind, group)
        assert lowlevel.iteration_next(iteration) == (b"group", ME)
        with pytest.raises(StatusError, match="NO_SECTIONS"):
            lowlevel.iteration_next(iteration)
        lowlevel.iteration_finalize(iteration)


@pytest.mark.parametrize("name", ["", b"", "x" * 128, b"x" * 128, "\ud800"])
def test_group_name_is_refused_when_it_cannot_be_used(member: Handle, name: bytes | str) -> None:
    """The same error for the same mistake in every call."""
    for call in (lowlevel.join, lowlevel.leave, lowlevel.membership_get):
        with pytest.raises(GroupNameError):
            call(member, name)
    with pytest.raises(GroupNameError):
        lowlevel.iteration_initialize(member, IterationType.ONE_GROUP, name)


def test_mcast_joined_gathers_its_buffers(member: Handle) -> None:
    """Up to 63 pieces are one message; 64 are refused."""
    lowlevel.mcast_joined(member, Guarantee.AGREED, b"he", bytearray(b"l"), memoryview(b"lo"), *[b""] * 60)
    wait_readable(member)
    assert lowlevel.dispatch(member, DispatchFlag.ALL) == [HELLO]
    with pytest.raises(UsageError, match="63"):
        lowlevel.mcast_joined(member, Guarantee.AGREED, *[b"x"] * 64)


def test_dispatch_one_returns_one_event(member: Handle) -> None:
    """It waits for the event where it must."""
    lowlevel.mcast_joined(member, Guarantee.AGREED, b"hello")
    assert lowlevel.dispatch(member, DispatchFlag.ONE) == [HELLO]


def test_dispatch_one_nonblocking_says_try_again_when_nothing_is_there(member: Handle) -> None:
    """As libcpg does."""
    send(member, b"hello", b"more")
    assert lowlevel.dispatch(member, DispatchFlag.ONE_NONBLOCKING) == [HELLO]
    assert len(lowlevel.dispatch(member, DispatchFlag.ONE_NONBLOCKING)) == 1
    with pytest.raises(StatusError) as caught:
        lowlevel.dispatch(member, DispatchFlag.ONE_NONBLOCKING)
    assert (caught.value.call, caught.value.code) == ("cpg_dispatch", lowlevel.Status.TRY_AGAIN)


def test_dispatch_all_returns_everything_up_to_its_limits(member: Handle) -> None:
    """Nothing is an empty list; limits leave the rest for the next call."""
    assert lowlevel.dispatch(member, DispatchFlag.ALL) == []
    send(member, *[b"hello"] * 9)
    assert lowlevel.dispatch(member, DispatchFlag.ALL, max_events=2) == [HELLO] * 2
    assert lowlevel.dispatch(member, DispatchFlag.ALL, max_bytes=16) == [HELLO] * 3
    assert lowlevel.dispatch(member, DispatchFlag.ALL) == [HELLO] * 4
    assert lowlevel.dispatch(member, DispatchFlag.ALL) == []


def test_dispatch_blocking_yields_events_until_the_handle_is_shut_down(member: Handle) -> None:
    """An endless iterator that ends by raising."""
    events = lowlevel.dispatch(member, DispatchFlag.BLOCKING)
    for _ in range(3):
        lowlevel.mcast_joined(member, Guarantee.AGREED, b"hello")
        assert next(events) == HELLO
    lowlevel.finalize(member)
    with pytest.raises(StatusError, match="BAD_HANDLE"):
        next(events)


def test_dispatch_raises_library_when_the_daemon_is_gone(fresh_node: ClusterNode) -> None:
    """Every way to dispatch says so."""
    with open_member(fresh_node, b"group") as handle:
        fresh_node.kill()
        fresh_node.wait_gone()
        for flag in (DispatchFlag.ONE, DispatchFlag.ALL, DispatchFlag.ONE_NONBLOCKING):
            with pytest.raises(StatusError, match="LIBRARY"):
                lowlevel.dispatch(handle, flag)
        with pytest.raises(StatusError, match="LIBRARY"):
            next(lowlevel.dispatch(handle, DispatchFlag.BLOCKING))


def test_dispatch_returns_events_first_when_an_error_came_with_them(member: Handle) -> None:
    """What was delivered before memory ran out is handed out; then every call raises."""
    lowlevel._inboxes[member].arena = Arena(limit=100_000)
    send(member, b"hello", bytes(200_000), b"after")
    assert lowlevel.dispatch(member, DispatchFlag.ALL) == [HELLO]
    for _ in range(3):
        with pytest.raises(StatusError, match="AIOCPG_OUT_OF_MEMORY"):
            lowlevel.dispatch(member, DispatchFlag.ALL)


def test_dispatch_refuses_when_the_stack_is_small(member: Handle) -> None:
    """An error that says what to change, where libcpg would end the process."""
    caught: list[Exception] = []

    def run() -> None:
        with pytest.raises(UsageError, match="stack") as error:
            lowlevel.dispatch(member, DispatchFlag.ALL)
        caught.append(error.value)

    before = threading.stack_size(256 * 1024)
    thread = threading.Thread(target=run)
    thread.start()
    threading.stack_size(before)
    thread.join()
    assert len(caught) == 1


@pytest.mark.parametrize("flag", [0, 5])
def test_dispatch_refuses_when_the_flag_is_unknown(member: Handle, flag: int) -> None:
    """libcpg takes any other number for BLOCKING, without a word."""
    with pytest.raises(ValueError, match=str(flag)):
        lowlevel.dispatch(member, flag)  # type: ignore[call-overload]


def test_zero_copy_calls_send_a_message(node: ClusterNode, member: Handle) -> None:
    """The legacy three, together."""
    buffer = inside(node, lambda: lowlevel.zcb_alloc(member, 100))
    buffer.data[:5] = b"hello"
    lowlevel.zcb_mcast_joined(member, Guarantee.AGREED, buffer, 5)
    wait_readable(member)
    assert lowlevel.dispatch(member, DispatchFlag.ALL) == [HELLO]
    lowlevel.zcb_free(member, buffer)
