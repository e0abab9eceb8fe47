"""When a frame is sent for the only reason that those before it do not come back."""

from __future__ import annotations

from aiocpg.evs._endpoint.echo import MOST_PAUSE_SECONDS, EchoWatch


def test_nothing_is_due_while_all_have_come_back() -> None:
    """Nor is anybody to look."""
    watch = EchoWatch(1.0)
    assert not any(watch.is_due(5, 5, float(now)) for now in range(10))
    assert watch.deadline is None


def test_it_is_due_when_none_has_come_back_for_the_timeout() -> None:
    """Not sooner."""
    watch = EchoWatch(1.0)
    assert not watch.is_due(1, 0, 10.0)
    assert watch.deadline == 11.0
    assert not watch.is_due(2, 0, 10.9)
    assert watch.is_due(2, 0, 11.0)


def test_each_that_comes_back_begins_the_time_anew() -> None:
    """A sender that is busy needs no probe."""
    watch = EchoWatch(1.0)
    assert not any(watch.is_due(seq + 3, seq, 0.9 * seq) for seq in range(20))


def test_pauses_grow_to_a_limit() -> None:
    """A daemon that stands still is not sent much."""
    watch, due = EchoWatch(1.0), []
    for now in range(60):
        if watch.is_due(len(due) + 1, 0, float(now)):
            due.append(now)
    assert due == [1, 3, 7, 15, 25, 35, 45, 55]
    assert due[-1] - due[-2] == MOST_PAUSE_SECONDS
