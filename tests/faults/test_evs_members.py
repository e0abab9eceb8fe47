"""A domain on three nodes while a member or a daemon is stopped, killed or evicted: SAFE is held or goes on without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from aiocpg import Address, Guarantee
from aiocpg.testing import CorosyncCluster
from evs.sim.checker import Summary
from evs.sim.history import Got
from faults.evs_walk.players import Player
from faults.evs_walk.stage import settle, staged, until_together
from faults.watching import Measured, until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

AGREED = {"domain": "agreed", "has_safe": False}


@pytest.mark.usefixtures("no_leaks")
async def test_stopped_member_holds_safe_up_and_not_agreed(
    patient_cluster: CorosyncCluster, tmp_path: Path, measured: Measured
) -> None:
    """``Stalled`` names it, a domain of the same processes without SAFE flows, and at last all have one order."""
    async with staged(patient_cluster, tmp_path) as stage:
        awake = [stage.enter(1), stage.enter(2)]
        flowing = [stage.enter(1, **AGREED), stage.enter(2, **AGREED)]
        process = stage.enter_apart(3, {}, AGREED)
        stopped, its_other = process.players
        await until_together([*awake, stopped])
        await until_together([*flowing, its_other])
        await progress([*awake, *flowing])
        process.stop()
        assert stopped.me is not None
        await all_are_stalled_by(awake, stopped.me)
        before = [safe_deliveries(player) for player in awake]
        await messages_flow(flowing)
        assert [safe_deliveries(player) for player in awake] == before
        process.cont()
        await settle([*awake, stopped])
        await settle([*flowing, its_other])
    for player in awake:
        assert player.story.counts["regular"] <= 3  # as they came, and none since
    report(stage.check(), measured)
    stage.check("agreed")


@pytest.mark.usefixtures("no_leaks")
async def test_domain_goes_on_without_a_stopped_daemon_and_with_it_when_it_is_back(
    cluster: CorosyncCluster, tmp_path: Path, measured: Measured
) -> None:
    """Nothing is lost: the member of that daemon is alone for a while, in a life that goes on."""
    async with staged(cluster, tmp_path) as stage:
        players = [stage.enter(node) for node in (1, 2, 3)]
        await until_together(players)
        await progress(players)
        cluster.node(3).stop()
        await cluster.until_formed((1, 2))
        await until_together(players[:2])
        await progress(players[:2])
        cluster.node(3).cont()
        await cluster.until_formed()
        await settle(players)
    assert not any(player.story.counts["lives lost"] for player in players)
    report(stage.check(), measured)


async def test_members_come_back_with_a_killed_daemon(
    cluster: CorosyncCluster, tmp_path: Path, measured: Measured
) -> None:
    """By themselves with ``reconnect``, told of the gap, and otherwise by hand; each message has a true outcome."""
    async with staged(cluster, tmp_path) as stage:
        others = [stage.enter(1), stage.enter(2)]
        by_itself = stage.enter(3, reconnect=True)
        [by_hand] = stage.enter_apart(3, {}).players
        everybody = [*others, by_itself, by_hand]
        await until_together(everybody)
        await progress(everybody)
        cluster.node(3).kill()
        await until_together(others)
        await progress(others)
        await cluster.node(3).until_gone()
        cluster.node(3).start()
        await settle(everybody)
    await cluster.until_restored()  # a daemon that was killed leaves files behind
    assert by_itself.story.counts["disconnected"] == 1
    assert by_hand.story.counts["disconnected"] == 0
    assert by_itself.story.counts["lives lost"] == by_hand.story.counts["lives lost"] == 1
    report(stage.check(), measured)


@pytest.mark.usefixtures("no_leaks")
async def test_evicted_member_is_told_and_comes_back(
    patient_cluster: CorosyncCluster, tmp_path: Path, measured: Measured
) -> None:
    """The others go on without it after a second, and with it once it runs again."""
    async with staged(patient_cluster, tmp_path) as stage:
        awake = [stage.enter(node, evict_after=1.0) for node in (1, 2)]
        process = stage.enter_apart(3, {"evict_after": 1.0})
        [stopped] = process.players
        await until_together([*awake, stopped])
        await progress(awake)
        process.stop()
        await until_together(awake)
        await progress(awake)
        process.cont()
        await settle([*awake, stopped])
    assert stopped.story.counts["evicted"] >= 1  # again, should the machine stand still for a second
    assert stopped.story.counts["lives left"] >= 1
    report(stage.check(), measured)


async def progress(players: Sequence[Player], more: int = 50) -> None:
    """Wait until each has learnt the outcome of so many more of its messages."""
    goals = [settled(player) + more for player in players]
    await until(lambda: all(settled(player) >= goal for player, goal in zip(players, goals, strict=True)))


def settled(player: Player) -> int:
    """Messages of a member of which it knows the outcome."""
    return player.story.sent - len(player.story.open)


async def messages_flow(players: Sequence[Player]) -> None:
    """Wait until each has got messages of all the others that are awake."""
    await progress(players)
    before = [dict(player.story.last) for player in players]
    senders = [player.me for player in players]

    def have_more(player: Player, old: dict[Address, int]) -> bool:
        return all(player.story.last.get(one, 0) > old.get(one, 0) + 20 for one in senders if one is not None)

    await until(lambda: all(map(have_more, players, before)))


async def all_are_stalled_by(players: Sequence[Player], laggard: Address) -> None:
    """Wait until all were told that they wait for this one, and for nobody else."""
    await until(lambda: all(player.story.stalled == (laggard,) for player in players))


def safe_deliveries(player: Player) -> int:
    """SAFE messages that a member has got."""
    found = (event for life in player.story.lives for event in life.events)
    return sum(isinstance(event, Got) and event.guarantee == Guarantee.SAFE for event in found)


def report(summary: Summary, measured: Measured) -> None:
    """Tell what was checked."""
    measured("SAFE deliveries", summary.regular_safe, f"in regular, {summary.transitional_safe} in transitional ones")
