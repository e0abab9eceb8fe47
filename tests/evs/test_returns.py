"""How long an endpoint waits before it comes back."""

from __future__ import annotations

from aiocpg.evs._returns import FIRST_PAUSE_SECONDS, MOST_PAUSE_SECONDS, QUIET_SECONDS, Returns


def between_half_and_whole(pause: float, whole: float) -> bool:
    """Pauses are at random, so that those who were put out together do not come back together."""
    return whole / 2 <= pause <= whole


def test_pauses_grow_while_it_keeps_being_put_out() -> None:
    """From the first to the longest, whether a life began in between or did not come about."""
    returns = Returns()
    expected = FIRST_PAUSE_SECONDS
    for number in range(30):
        if number % 3:
            returns.begin(float(number))
        assert between_half_and_whole(returns.pause(number + 1.0), expected)
        expected = min(2 * expected, MOST_PAUSE_SECONDS)
    assert expected == MOST_PAUSE_SECONDS


def test_pause_behind_a_life_that_lasted_is_the_first_again() -> None:
    """One that lasted less, or never began, does not count."""
    returns = Returns()
    for _ in range(10):
        returns.pause(0.0)
    returns.begin(100.0)
    assert between_half_and_whole(returns.pause(100.0 + QUIET_SECONDS - 1), MOST_PAUSE_SECONDS)
    assert between_half_and_whole(returns.pause(1000.0), MOST_PAUSE_SECONDS)
    returns.begin(1000.0)
    assert between_half_and_whole(returns.pause(1000.0 + QUIET_SECONDS), FIRST_PAUSE_SECONDS)
    assert between_half_and_whole(returns.pause(2000.0), 2 * FIRST_PAUSE_SECONDS)
