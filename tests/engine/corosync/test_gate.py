"""The door to cpg_initialize: one at a time, a stuck daemon keeps nobody out but its own callers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from aiocpg.engine.corosync import _gate
from aiocpg.engine.corosync._gate import GaveUp, InitializeGate
from support.handles import wait_until


@pytest.fixture
def gate() -> InitializeGate:
    """A door of our own."""
    return InitializeGate()


def never() -> bool:
    """Do not give up."""
    return False


class Caller:
    """
    A thread that goes through the door and stays inside until told.

    Attributes:
        is_inside: Whether it is.
        gave_up: Whether it was called back.
    """

    def __init__(self, gate: InitializeGate, daemon: str, has_given_up: Callable[[], bool] = never) -> None:
        self.is_inside = threading.Event()
        self.gave_up = False
        self._may_go = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(gate, daemon, has_given_up), daemon=True)
        self._thread.start()

    def _run(self, gate: InitializeGate, daemon: str, has_given_up: Callable[[], bool]) -> None:
        try:
            with gate.passage(daemon, has_given_up):
                self.is_inside.set()
                assert self._may_go.wait(30)
        except GaveUp:
            self.gave_up = True

    def go(self) -> None:
        """Leave, and be gone."""
        self._may_go.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


@contextmanager
def caller(gate: InitializeGate, daemon: str, has_given_up: Callable[[], bool] = never) -> Iterator[Caller]:
    """Send a caller, and have it gone at the end."""
    one = Caller(gate, daemon, has_given_up)
    yield one
    one.go()


def test_door_is_shut_while_somebody_claims_a_slot(gate: InitializeGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """libqb claims it without a lock, whatever daemon is meant."""
    monkeypatch.setattr(_gate, "CLAIM_SECONDS", 1000.0)
    with caller(gate, "one") as first:
        assert first.is_inside.wait(30)
        with caller(gate, "two") as second:
            assert not second.is_inside.wait(0.05)
            first.go()
            assert second.is_inside.wait(30)


def test_stuck_daemon_shuts_the_door_for_others_for_a_moment_only(
    gate: InitializeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its slot was claimed long before."""
    monkeypatch.setattr(_gate, "CLAIM_SECONDS", 0.05)
    with caller(gate, "stopped") as stuck:
        assert stuck.is_inside.wait(30)
        with caller(gate, "healthy") as other:
            assert other.is_inside.wait(30)


def test_stuck_daemon_gets_no_second_caller(gate: InitializeGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for it at the door can be called back there, which inside nobody can."""
    monkeypatch.setattr(_gate, "CLAIM_SECONDS", 0.01)
    lost_interest = threading.Event()
    with caller(gate, "stopped") as stuck:
        assert stuck.is_inside.wait(30)
        with caller(gate, "stopped", lost_interest.is_set) as waiting:
            assert not waiting.is_inside.wait(0.05)
            lost_interest.set()
            wait_until(lambda: waiting.gave_up)


def test_caller_that_has_given_up_does_not_go_in(gate: InitializeGate) -> None:
    """Even if the door is open."""
    with pytest.raises(GaveUp), gate.passage("one", lambda: True):
        raise AssertionError("it went in")


def test_door_opens_when_the_call_inside_fails(gate: InitializeGate) -> None:
    """At once, for the same daemon too."""
    with pytest.raises(KeyError), gate.passage("one", never):
        raise KeyError
    with gate.passage("one", never):
        pass


def test_late_return_does_not_open_the_door_for_the_next_but_one(
    gate: InitializeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever claims now is protected from the end of an earlier call."""
    monkeypatch.setattr(_gate, "CLAIM_SECONDS", 0.01)
    with caller(gate, "stopped") as stuck:
        assert stuck.is_inside.wait(30)
        wait_until(lambda: gate._claiming_until < time.monotonic())
        monkeypatch.setattr(_gate, "CLAIM_SECONDS", 1000.0)
        with caller(gate, "two") as second:
            assert second.is_inside.wait(30)
            stuck.go()
            with caller(gate, "three") as third:
                assert not third.is_inside.wait(0.05)
                second.go()
                assert third.is_inside.wait(30)
