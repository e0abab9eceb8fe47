"""The policy of coming back: how pauses grow, and what is refused."""

from __future__ import annotations

import math
import random
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocpg import Reconnect
from aiocpg._state.reconnect import policy_of

seconds = st.floats(0.001, 1000)


@given(first=seconds, more=st.floats(0, 1000), seed=st.integers())
def test_each_pause_is_between_half_and_all_of_a_bound_that_doubles(first: float, more: float, seed: int) -> None:
    """Up to the longest pause, where it stays."""
    policy = Reconnect(first_pause=first, longest_pause=first + more)
    for number, pause in enumerate(islice(policy.pauses(random.Random(seed).random), 20)):
        bound = min(first * 2**number, policy.longest_pause)
        assert bound / 2 <= pause <= bound


def test_processes_of_a_host_do_not_come_back_all_at_once() -> None:
    """The pauses of two differ."""
    policy = Reconnect()
    one, other = (list(islice(policy.pauses(random.Random(seed).random), 8)) for seed in (1, 2))
    assert one != other


@pytest.mark.parametrize(
    "wrong",
    [
        {"first_pause": 0},
        {"first_pause": -1},
        {"first_pause": math.nan},
        {"first_pause": 2, "longest_pause": 1},
        {"longest_pause": math.nan},
        {"give_up_after": -1},
        {"give_up_after": math.nan},
    ],
)
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    """At once, with the field named."""
    with pytest.raises(ValueError, match=r"_pause|give_up_after"):
        Reconnect(**wrong)


def test_true_means_the_defaults_and_false_or_none_means_no_way_back() -> None:
    """What ``connect(reconnect=...)`` takes."""
    mine = Reconnect(give_up_after=3)
    assert policy_of(True) == Reconnect()
    assert policy_of(False) is None
    assert policy_of(None) is None
    assert policy_of(mine) is mine


def test_anything_else_is_a_type_error_that_names_what_is_taken() -> None:
    """A number of tries, say, as in other libraries."""
    with pytest.raises(TypeError, match=r"aiocpg\.Reconnect, not 5"):
        policy_of(5)  # type: ignore[arg-type]
