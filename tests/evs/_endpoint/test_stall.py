"""When what is held counts as stalled, and what is done about it."""

from __future__ import annotations

import pytest

from aiocpg.evs._endpoint.stall import MOST_EXCUSES, MOST_PAUSE_SECONDS, Due, StallWatch

WHO: frozenset[object] = frozenset({"who"})


def watching(evict_after: float | None = None) -> StallWatch:
    """A watch with something held since 10 s."""
    watch = StallWatch(1.0, evict_after)
    assert watch.watch("held", "acks", 10.0) is None
    return watch


def test_nothing_is_due_where_nothing_is_held() -> None:
    """Nor is anybody to look."""
    watch = StallWatch(1.0, 1.0)
    assert watch.due(frozenset(), 100.0) == Due.NOTHING
    assert watch.deadline is None


def test_it_is_told_and_asked_once_it_is_held_for_the_timeout() -> None:
    """Not sooner."""
    watch = watching()
    assert watch.due(WHO, 10.9) == Due.NOTHING
    assert watch.deadline == 11.0
    assert watch.due(WHO, 11.0) == Due.TELL | Due.ASK
    assert watch.is_stalled
    assert watch.since(11.5) == 1.5


def test_it_is_told_again_where_others_are_waited_for() -> None:
    """And only then."""
    watch = watching()
    watch.due(WHO, 11.0)
    assert watch.due(WHO, 11.1) == Due.NOTHING
    assert watch.due(frozenset({"another"}), 11.2) == Due.TELL


def test_questions_come_at_growing_pauses() -> None:
    """Up to a limit."""
    watch = watching()
    asked = [now for now in range(10, 60) if Due.ASK in watch.due(WHO, float(now))]
    assert asked == [11, 12, 14, 18, 26, 36, 46, 56]
    assert asked[-1] - asked[-2] == MOST_PAUSE_SECONDS


def test_a_move_begins_the_time_anew_and_tells_how_long_it_stood() -> None:
    """Pauses are short again."""
    watch = watching()
    watch.due(WHO, 11.0)
    assert watch.watch("other", "acks", 13.0) == 3.0
    assert not watch.is_stalled
    assert watch.due(WHO, 13.9) == Due.NOTHING
    assert watch.due(WHO, 14.0) == Due.TELL | Due.ASK


def test_a_move_before_the_timeout_is_no_resumption() -> None:
    """Nobody was told that it stalled."""
    watch = watching()
    assert watch.watch("other", "acks", 10.5) is None
    assert watch.watch(None, "acks", 10.6) is None


def test_another_stage_begins_the_time_anew_and_is_no_resumption() -> None:
    """Who is waited for in it has only just been asked; how long it stood is told when it moves."""
    watch = watching(evict_after=2.0)
    assert watch.due(WHO, 11.5) == Due.TELL | Due.ASK
    assert watch.watch("held", "finals", 11.6) is None
    others: frozenset[object] = frozenset({"another"})
    assert watch.due(others, 12.5) == Due.NOTHING
    assert watch.deadline == 12.6
    assert watch.due(others, 12.6) == Due.TELL | Due.ASK
    assert watch.since(12.6) == 1.0
    assert watch.due(others, 13.6) == Due.ASK | Due.EVICT
    assert watch.watch(None, None, 14.0) == 4.0


def test_another_stage_is_not_told_where_the_same_are_waited_for() -> None:
    """Readers know that."""
    watch = watching()
    watch.due(WHO, 11.0)
    watch.watch("held", "finals", 11.5)
    assert watch.due(WHO, 12.5) == Due.ASK
    assert watch.is_stalled


def test_a_laggard_is_due_after_its_time_and_then_the_next() -> None:
    """Each gets as long."""
    watch = watching(evict_after=5.0)
    evicted = [now for now in range(10, 30) if Due.EVICT in watch.due(WHO, float(now))]
    assert evicted == [15, 20, 25]


def test_a_laggard_that_was_evicted_a_while_ago_is_due_as_soon_as_it_stalls() -> None:
    """And again after as long; nobody is where nobody is to be evicted."""
    watch = watching(evict_after=5.0)
    assert watch.due(WHO, 10.9, WHO) == Due.NOTHING
    assert watch.due(WHO, 11.0, WHO) == Due.TELL | Due.ASK | Due.EVICT
    assert watch.deadline == 12.0
    assert watch.due(WHO, 11.5, WHO) == Due.NOTHING
    assert watch.due(WHO, 12.0, WHO) == Due.ASK | Due.EVICT
    assert Due.EVICT not in watching().due(WHO, 100.0, WHO)


def test_time_in_which_we_stood_still_counts_for_nobody() -> None:
    """Those who are waited for have all of theirs, and some more for what came meanwhile to be read."""
    watch = watching(evict_after=2.0)
    watch.excuse(5.0)
    assert watch.due(WHO, 16.4) == Due.NOTHING
    assert watch.deadline == 16.5
    assert watch.due(WHO, 16.5) == Due.TELL | Due.ASK
    assert watch.since(16.5) == 1.0
    assert watch.due(WHO, 17.5) == Due.ASK | Due.EVICT


def test_timer_that_is_a_little_late_excuses_nothing() -> None:
    """They all are."""
    watch = watching()
    watch.excuse(0.25)
    assert watch.deadline == 11.0


def test_loop_that_is_always_late_does_not_wait_for_ever() -> None:
    """It has excuses for each stage, and not many."""
    watch = watching(evict_after=2.0)
    for _ in range(MOST_EXCUSES + 5):
        watch.excuse(1.0)
    assert watch.deadline == 11.0 + MOST_EXCUSES * 1.5
    watch.watch("held", "finals", 20.0)
    watch.excuse(1.0)
    assert watch.deadline == 20.0 + 1.0 + 1.5


@pytest.mark.parametrize(("evict_after", "deadline"), [(None, 12.0), (1.5, 11.5)])
def test_deadline_is_the_next_thing_that_is_due(evict_after: float | None, deadline: float) -> None:
    """A question, or an eviction."""
    watch = watching(evict_after)
    watch.due(WHO, 11.0)
    assert watch.deadline == deadline
