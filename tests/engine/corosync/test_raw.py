"""A handle as threads see it: asked, shut down, finalized once; and opening that can be called back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from aiocpg.engine._libcpg import binding
from aiocpg.engine._libcpg.status import Status
from aiocpg.engine.corosync._daemon import Daemon
from aiocpg.engine.corosync._gate import GaveUp
from aiocpg.engine.corosync._raw import BUSY_CODES, Opener, RawHandle, retry
from aiocpg.errors import StatusError
from aiocpg.testing import ClusterNode
from aiocpg.testing._syscalls import CLONE_NEWNET, unshare
from support.handles import wait_until
from support.running import stopped

T = TypeVar("T")


@pytest.fixture
def opener(node: ClusterNode) -> Opener:
    """An opener for the session's node."""
    return Opener(Daemon(node.enter))


def on_thread(function: Callable[[], T]) -> T:
    """Call a function on a thread of its own."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(function).result(30)


@pytest.fixture
def raw(opener: Opener) -> Iterator[RawHandle]:
    """An open handle."""
    raw = on_thread(opener.open)
    yield raw
    raw.shutdown()
    raw.finalize()


def test_handle_knows_the_process_behind_it(node: ClusterNode, raw: RawHandle) -> None:
    """From the kernel, not from what it says."""
    assert (raw.daemon.pid, raw.daemon.uid, raw.daemon.gid) == (node.pid, 0, 0)
    assert not raw.is_hung_up


def test_request_is_made_on_the_handle(raw: RawHandle) -> None:
    """And its answer handed back."""
    assert raw.request(binding.local_get) == 1
    assert not raw.wait_readable(0)


def test_requests_are_made_one_at_a_time(raw: RawHandle) -> None:
    """Two at once would corrupt libcpg's ring."""
    inside_now: list[int] = []
    most: list[int] = []

    def call(handle: binding.Handle) -> None:
        inside_now.append(1)
        most.append(len(inside_now))
        binding.local_get(handle)
        inside_now.pop()

    threads = [threading.Thread(target=raw.request, args=(call,)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [1] * 10


def test_shutdown_frees_whoever_waits_for_the_daemon(node: ClusterNode, raw: RawHandle) -> None:
    """libcpg's calls have no timeout; this is the only way out."""
    errors: list[int] = []

    def ask() -> None:
        try:
            raw.request(binding.local_get)
        except StatusError as error:
            errors.append(error.code)

    thread = threading.Thread(target=ask, daemon=True)
    with stopped(node):
        thread.start()
        assert not errors
        raw.shutdown()
        raw.shutdown()
        thread.join(30)
        assert errors == [Status.LIBRARY]
        raw.finalize()


@pytest.mark.usefixtures("no_leaks")
def test_handle_is_finalized_once(opener: Opener) -> None:
    """By whichever thread comes first; its descriptors are closed then."""
    raw = on_thread(opener.open)
    threads = [threading.Thread(target=raw.finalize) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    raw.finalize()
    raw.shutdown()
    with pytest.raises(StatusError) as caught:
        binding.fd_get(raw.handle)
    assert caught.value.code == Status.BAD_HANDLE


def test_hang_up_shows_on_the_descriptor(fresh_node: ClusterNode) -> None:
    """Whatever libcpg's calls answer."""
    raw = on_thread(Opener(Daemon(fresh_node.enter)).open)
    fresh_node.kill()
    wait_until(lambda: raw.is_hung_up)
    raw.finalize()


def test_opening_that_was_called_back_opens_nothing(opener: Opener) -> None:
    """And one that is open is shut down."""
    raw = on_thread(opener.open)
    opener.give_up()
    assert opener.has_given_up
    with pytest.raises(StatusError):
        raw.request(binding.local_get)
    raw.finalize()
    with pytest.raises(GaveUp):
        on_thread(opener.open)


def test_refusal_of_the_daemon_is_raised() -> None:
    """As libcpg says it; words for it are found elsewhere."""
    with pytest.raises(StatusError) as caught:
        on_thread(Opener(Daemon(lambda: unshare(CLONE_NEWNET))).open)
    assert (caught.value.call, caught.value.code) == ("cpg_model_initialize", Status.LIBRARY)


# -- Trying again


class Answers:
    """A call that answers these statuses, then well."""

    def __init__(self, *statuses: Status) -> None:
        self._statuses = list(statuses)

    def __call__(self) -> str:
        """Answer."""
        if self._statuses:
            status = self._statuses.pop(0)
            raise StatusError("call", status, status.name)
        return "well"


@pytest.fixture
def go_on() -> threading.Event:
    """Never called back."""
    return threading.Event()


def test_call_is_repeated_while_it_is_told_to(go_on: threading.Event) -> None:
    """Until it answers."""
    assert retry(Answers(*[Status.TRY_AGAIN] * 5), BUSY_CODES, go_on) == "well"


def test_other_answers_are_raised_at_once(go_on: threading.Event) -> None:
    """Only what means "later" is worth waiting for."""
    with pytest.raises(StatusError, match="ACCESS"):
        retry(Answers(Status.TRY_AGAIN, Status.ACCESS), BUSY_CODES, go_on)


def test_answer_at_the_deadline_is_raised(go_on: threading.Event) -> None:
    """The last one."""
    with pytest.raises(StatusError, match="TRY_AGAIN"):
        retry(Answers(*[Status.TRY_AGAIN] * 1000), BUSY_CODES, go_on, deadline=0)


def test_repetition_can_be_called_back() -> None:
    """Between two tries."""
    called_back = threading.Event()
    called_back.set()
    with pytest.raises(GaveUp):
        retry(Answers(*[Status.TRY_AGAIN] * 1000), BUSY_CODES, called_back)
