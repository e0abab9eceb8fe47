"""All checks, in the order of the promises."""

from __future__ import annotations

from . import _calling, _cancelling, _joining, _leaving, _losing, _ordering, _quorum, _refusing
from ._check import Check

__all__ = ["CHECKS", "Check"]

_STALL, _LOSE, _CUT, _CONGEST = (frozenset({name}) for name in ("stall", "lose", "cut", "congest"))

CHECKS: tuple[Check, ...] = (
    Check(1, _calling.calls_return_at_once),
    Check(1, _calling.calls_return_at_once_when_the_other_side_stands_still, _STALL),
    Check(1, _calling.drain_takes_a_budget_and_is_called_again),
    Check(2, _joining.own_join_is_the_first_change_that_counts),
    Check(2, _joining.nothing_from_before_the_join_comes),
    Check(2, _joining.own_join_shows_in_the_snapshots),
    Check(3, _joining.ring_comes_before_the_first_message),
    Check(3, _joining.connection_is_told_the_same_ring),
    Check(4, _ordering.order_is_the_same_for_all),
    Check(4, _ordering.senders_keep_their_order),
    Check(5, _ordering.no_message_falls_inside_a_ring_change, _CUT),
    Check(6, _leaving.own_messages_come_back),
    Check(6, _leaving.taken_messages_come_before_the_departure),
    Check(6, _leaving.refused_messages_do_not_come, _CONGEST),
    Check(7, _leaving.departure_is_a_leave_for_all),
    Check(7, _leaving.nothing_counts_behind_the_departure),
    Check(8, _losing.loss_is_told_once, _LOSE),
    Check(8, _losing.every_call_raises_the_loss, _LOSE),
    Check(8, _losing.closing_is_no_loss),
    Check(9, _cancelling.waiting_calls_can_be_cancelled, _STALL),
    Check(9, _cancelling.calls_can_be_cancelled_at_any_point),
    Check(9, _cancelling.waiting_calls_end_with_the_loss, _STALL | _LOSE),
    Check(9, _cancelling.closed_group_can_be_joined_again),
    Check(9, _cancelling.nothing_is_left_behind),
    Check(10, _refusing.second_join_is_refused),
    Check(10, _refusing.everything_else_is_taken),
    Check(11, _quorum.quorum_is_told_before_the_call_returns),
    Check(11, _quorum.quorum_is_never_on_two_sides, _CUT),
)
"""
Checks of every promise. To run them one by one::

    @pytest.mark.parametrize("check", CHECKS, ids=str)
    async def test_promise_is_kept(check, world):
        await run_check(check, world)
"""
