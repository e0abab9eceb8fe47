"""The conformance suite finds what is wrong: for each check there are engines that break its promise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from aiocpg.testing import CorosyncCluster
from aiocpg.testing.conformance import CHECKS, Check, run_check
from support import faults_in_calls as calls
from support import faults_in_stream as stream
from support.faulty import FaultyEngine, FaultyMembership, FaultyWorld, broken, engine_of
from support.loops import BACKENDS
from support.worlds import CorosyncWorld

IMPATIENCE = 1.5
"""Seconds for faults that show as a wait in vain; all that is waited for before takes milliseconds."""

ALL = (0, 1, 2)
SECOND = (1,)


class Case(NamedTuple):
    """A fault, and how a check sees it."""

    check: str
    fault: type[FaultyEngine] | type[FaultyMembership]
    seen: str
    places: tuple[int, ...] = ALL
    patience: float = 30.0


def waits(check: str, fault: type, seen: str, places: tuple[int, ...] = ALL) -> Case:
    """Make a case of a fault that shows as a wait in vain."""
    return Case(check, fault, seen, places, IMPATIENCE)


STILL = "calls_return_at_once_when_the_other_side_stands_still"

CASES = (
    waits("calls_return_at_once", calls.BlocksInMcast, r"stood still for [\d.]+ s, in mcast"),
    waits(STILL, calls.SpinsWhenCongested, r"stood still for [\d.]+ s, in mcast"),
    Case("drain_takes_a_budget_and_is_called_again", calls.DrainsWithoutEnd, "one drain gave"),
    waits("own_join_is_the_first_change_that_counts", stream.DropsOwnJoin, "the change that lists .* as joined"),
    Case("own_join_is_the_first_change_that_counts", stream.JoinsByAnotherReason, "the first change is .*NODEUP"),
    Case("own_join_is_the_first_change_that_counts", stream.JoinsBehindAMessage, "1 messages came before", SECOND),
    Case("nothing_from_before_the_join_comes", stream.ReplaysTheOldest, "newcomer has other messages"),
    Case("own_join_shows_in_the_snapshots", stream.KnowsNoMembers, r"members\(\) says \(\)"),
    Case("own_join_shows_in_the_snapshots", stream.KnowsNoGroups, r"groups\(\) says None"),
    Case("own_join_shows_in_the_snapshots", stream.ListsMembersUnsorted, r"members\(\) says"),
    Case("ring_comes_before_the_first_message", stream.HidesRings, "a message before any ring"),
    Case("ring_comes_before_the_first_message", stream.TellsRingBehindAMessage, "a message before any ring"),
    Case("ring_comes_before_the_first_message", stream.TellsAStaleRing, "two members of one ring", SECOND),
    Case("connection_is_told_the_same_ring", stream.TellsRingTwice, "one ring was told as"),
    Case("connection_is_told_the_same_ring", stream.TellsAStaleRing, "its membership"),
    waits("connection_is_told_the_same_ring", stream.AsksForNoRing, "the ring that was asked for"),
    Case("order_is_the_same_for_all", stream.SwapsTwoMessages, "two members of one ring", SECOND),
    Case("order_is_the_same_for_all", stream.TellsChangesLate, "two members of one ring", SECOND),
    Case("order_is_the_same_for_all", stream.DropsOneOfAnother, "one ring|stayed", SECOND),
    Case("order_is_the_same_for_all", stream.DropsOneOfAnother, "a member that came and went", (2,)),
    Case("senders_keep_their_order", stream.SendsBatchesBackwards, "was sent as"),
    Case("senders_keep_their_order", stream.SendsTwice, "was sent as"),
    Case("senders_keep_their_order", stream.DropsOneOfAnother, "was sent as", SECOND),
    Case("senders_keep_their_order", stream.DoublesOneOfAnother, "was sent as", SECOND),
    Case("no_message_falls_inside_a_ring_change", stream.TellsRingBehindAMessage, "inside ring changes", SECOND),
    Case("own_messages_come_back", stream.SwallowsOwn, "of 19 own messages 16 came"),
    Case("own_messages_come_back", stream.DoublesOwn, "of 19 own messages 22 came"),
    Case("own_messages_come_back", stream.ShortensOwn, "came changed"),
    Case("taken_messages_come_before_the_departure", stream.DepartsBeforeTheLastMessage, "of 300 own messages 299"),
    Case("refused_messages_do_not_come", stream.SendsWhatItRefuses, "own messages"),
    Case("refused_messages_do_not_come", stream.LosesInCongestion, "own messages"),
    Case("departure_is_a_leave_for_all", stream.DepartsByAnotherReason, "who left sees .*PROCDOWN"),
    Case("departure_is_a_leave_for_all", stream.DropsOneOfAnother, "who left and who stayed", SECOND),
    waits("departure_is_a_leave_for_all", stream.HidesDeparture, "the departure of .*, which left"),
    Case("nothing_counts_behind_the_departure", stream.SpeaksBehindDeparture, "behind the own departure came .*late"),
    Case("nothing_counts_behind_the_departure", stream.DepartsTwice, "behind the own departure came .*NODEDOWN"),
    Case("loss_is_told_once", calls.TellsMembershipsTwice, "the membership was told of 2 losses"),
    Case("loss_is_told_once", calls.TellsConnectionsTwice, "the connection was told of 2 losses"),
    Case("loss_is_told_once", calls.TellsMembershipsAnotherError, "was told of EngineUnavailableError"),
    Case("loss_is_told_once", calls.DrainsAgainBehindLoss, "were drained behind the loss"),
    waits("loss_is_told_once", calls.TellsMembershipsNever, "on_lost of a membership"),
    Case("every_call_raises_the_loss", calls.RefusesBehindLoss, "mcast returned"),
    Case("every_call_raises_the_loss", calls.RaisesAnotherErrorBehindLoss, "groups raised EngineUnavailableError"),
    Case("every_call_raises_the_loss", calls.RaisesAnotherLossEachTime, "one loss is raised as"),
    Case("closing_is_no_loss", calls.CallsClosingALoss, "closing was told as a loss"),
    Case("closing_is_no_loss", calls.CallsItsEndALoss, "closing was told as a loss"),
    waits("waiting_calls_can_be_cancelled", calls.CannotBeCancelled, "for members to end"),
    waits("waiting_calls_can_be_cancelled", calls.LeaveCannotBeCancelled, "for leave to end"),
    Case("waiting_calls_can_be_cancelled", calls.KeepsNameOfCancelledJoin, "AlreadyJoinedError"),
    Case("calls_can_be_cancelled_at_any_point", calls.KeepsNameOfCancelledJoin, "AlreadyJoinedError"),
    Case("calls_can_be_cancelled_at_any_point", calls.FailsWhenCancelled, "groups raised EngineUnavailableError"),
    waits("waiting_calls_end_with_the_loss", calls.WaitsOnBehindLoss, "for groups to end"),
    Case("waiting_calls_end_with_the_loss", calls.EndsQuietlyBehindLoss, "leave returned"),
    Case("waiting_calls_end_with_the_loss", calls.RaisesAnotherErrorBehindLoss, "groups raised EngineUnavail"),
    Case("closed_group_can_be_joined_again", calls.KeepsNameOfClosed, "AlreadyJoinedError"),
    waits("closed_group_can_be_joined_again", calls.LeavesGhosts, "a member to be seen going 4 times"),
    waits("nothing_is_left_behind", calls.KeepsDescriptors, "descriptor /dev/null"),
    waits("nothing_is_left_behind", calls.KeepsThreads, "thread left behind"),
    Case("second_join_is_refused", calls.RefusesWithAnotherError, "EngineUnavailableError.*AlreadyJoinedError"),
    Case("second_join_is_refused", calls.TellsOthersWhatItRefuses, "a refused join was seen"),
    Case("everything_else_is_taken", calls.CutsNamesAtNul, "AlreadyJoinedError"),
    Case("everything_else_is_taken", calls.CutsLargeMessages, "came as .*1000000"),
    Case("everything_else_is_taken", calls.RefusesEmptyMessages, "ValueError"),
    Case("quorum_is_told_before_the_call_returns", calls.TellsNoQuorum, "no state was told"),
    Case("quorum_is_told_before_the_call_returns", calls.TellsQuorumOfAnotherNode, "node 1 was told Quorum"),
    Case("quorum_is_never_on_two_sides", calls.TellsAllThatTheyAreQuorate, "two sides were told Quorum"),
    waits("quorum_is_never_on_two_sides", calls.TellsTheFirstQuorumOnly, "node 1 to be told of the cut"),
)

BY_NAME: dict[str, Check] = {check.name: check for check in CHECKS}


@pytest.fixture
def leftovers() -> Iterator[None]:
    """Clear away what faults have left."""
    calls.begin()
    yield
    calls.end()


@pytest.mark.anyio
@pytest.mark.usefixtures("leftovers")
@pytest.mark.parametrize("anyio_backend", [BACKENDS["asyncio"]], ids=["asyncio"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.check}-{case.fault.__name__}")
async def test_fault_is_found_by_its_check(cluster: CorosyncCluster, case: Case) -> None:
    """And the error says what was seen, and which promise that breaks."""
    check = BY_NAME[case.check]
    fault = case.fault if issubclass(case.fault, FaultyEngine) else engine_of(case.fault)
    world = FaultyWorld(CorosyncWorld(cluster), fault, case.places)
    error = await broken(check, world, case.seen, case.patience)
    assert (error.promise, error.check) == (check.promise, check.name)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [BACKENDS["asyncio"]], ids=["asyncio"])
@pytest.mark.parametrize("check", CHECKS, ids=str)
async def test_wrapping_alone_is_no_fault(cluster: CorosyncCluster, check: Check) -> None:
    """So what is found above is the fault, and not the wrapper."""
    await run_check(check, FaultyWorld(CorosyncWorld(cluster), FaultyEngine))


def test_every_check_has_a_fault_that_it_finds() -> None:
    """A check that finds nothing checks nothing."""
    assert {case.check for case in CASES} == set(BY_NAME)


def test_every_promise_has_a_check() -> None:
    """All eleven."""
    assert {check.promise for check in CHECKS} == set(range(1, 12))
