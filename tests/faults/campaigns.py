"""
Long campaigns, for scripts/soak: the fault tests' own walks with other seeds each time, and ten times as much of them.

The name of this file keeps it out of the ordinary suite. ``AIOCPG_SEED`` repeats a run, as far as timing repeats.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from aiocpg.testing import ClusterNode, CorosyncCluster
from evs.sim.modes import MODES
from evs.sim.trying import attempt
from faults import cancelling
from faults.crowd import Crowd, has_ended
from faults.cycling import Footprint, cycle
from faults.everything import DEATHS, all_lost, busy_calls, going_well, iterators
from faults.evs_fuzzing import Siege, figures, fuzz_parse
from faults.evs_walk.figures import Figures
from faults.evs_walk.schedule import partitions
from faults.evs_walk.trying import walk_and_check as walk_in_domains
from faults.evs_walk.walking import TOKEN as TOKEN_OF_DOMAINS
from faults.flooding import FLOODS, Flood, flood_past_a_slow_reader
from faults.fuzzing import fuzz
from faults.test_fuzz import MOST_MORE
from faults.walk.checker import Summary
from faults.walk.schedule import nodes_of
from faults.walk.trying import walk_and_check
from faults.walk.walking import TOKEN
from faults.watching import Measured, Waiters
from support.loops import BACKENDS
from support.running import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]

on_all_loops = pytest.mark.parametrize("anyio_backend", BACKENDS.values(), ids=BACKENDS.keys())


@pytest.fixture
def seed(measured: Measured) -> int:
    """Provide another number each time, and have it printed."""
    number = int(os.environ.get("AIOCPG_SEED") or random.SystemRandom().randrange(1_000_000))
    measured("seed", number, "")
    print(f"AIOCPG_SEED={number}")
    return number


@on_all_loops
async def test_cancelling_at_random_loses_and_doubles_nothing_for_a_minute(node: ClusterNode, seed: int) -> None:
    """See test_cancellation.py."""
    async with node.connect() as cpg:
        campaign = cancelling.Campaign(cpg, await cpg.join(b"campaign"), seed)
        await campaign.run(60)
    campaign.check()
    campaign.check_variety()


@on_all_loops
async def test_counts_are_where_they_were_after_a_thousand_memberships(node: ClusterNode, measured: Measured) -> None:
    """See test_cycles.py."""
    async with node.connect() as cpg:
        await cycle(cpg, 10)
        before = Footprint(node)
        await cycle(cpg, 1000)
        after = await before.settled(node)
    measured("memory more", (after.memory - before.memory) / 1024, "KiB")
    measured("memory of corosync more", (after.daemon - before.daemon) / 1024, "KiB")
    assert not after.more_than(before)


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
async def test_a_gigabyte_flows_past_a_slow_reader(
    fresh_node: ClusterNode, flood: Flood, tmp_path: Path, measured: Measured
) -> None:
    """See test_slow_reader.py."""
    await flood_past_a_slow_reader(fresh_node, flood, tmp_path, measured, 1_000_000)


@on_all_loops
async def test_members_keep_every_promise_on_many_random_walks(seed: int, tmp_path: Path, measured: Measured) -> None:
    """See test_random_walk.py."""
    total = Summary()
    for nodes in (3, 4, 5):
        with CorosyncCluster(nodes, token=TOKEN) as cluster:
            for number in [number for number in range(seed, seed + 8) if nodes_of(number) == nodes]:
                total += await walk_and_check(cluster, number, tmp_path / str(number))
    for name, value in total._asdict().items():
        measured(name, value, "")


@on_all_loops
async def test_everything_ends_each_time_a_daemon_dies(fresh_node: ClusterNode, seed: int, measured: Measured) -> None:
    """See test_lost_daemon.py; here the moment and the way of the death are random, and the daemon comes back."""
    rng = random.Random(seed)
    for _ in range(15):
        async with fresh_node.connect() as cpg, anyio.create_task_group() as tasks:
            group = await cpg.join(b"busy")
            waiters = Waiters(tasks)
            waiters.start(iterators(cpg, group) | busy_calls(cpg, group))
            await going_well(group)
            await anyio.sleep(rng.random() * 0.2)
            rng.choice(list(DEATHS.values()))(fresh_node)
            await all_lost(waiters, time.monotonic(), measured)
        await anyio.to_thread.run_sync(come_back, fresh_node)


@pytest.mark.usefixtures("local_directory")
async def test_crowd_of_fifty_reads_one_order_while_members_are_killed_for_a_minute(
    seed: int, tmp_path: Path, measured: Measured
) -> None:
    """See test_crowd.py."""
    crowd = Crowd("crowd", 50, tmp_path, seed)
    try:
        told = await crowd.run(60)
        await until(lambda: has_ended("crowd"))
    finally:
        crowd.end()
    for name, value in told._asdict().items():
        measured(name, value, "")
    assert told.brokers == 1


@pytest.mark.usefixtures("local_directory")
async def test_honest_clients_do_not_notice_a_million_hostile_frames(seed: int, measured: Measured) -> None:
    """See test_fuzz.py."""
    told = await fuzz(1_000_000, seed)
    for name, value in told._asdict().items():
        measured(name, value, "")
    assert told.rss_peak - told.rss_before < MOST_MORE


def test_of_a_million_frames_comes_a_frame_or_the_one_error(seed: int, measured: Measured) -> None:
    """See test_evs_fuzz.py."""
    for name, value in figures(fuzz_parse(1_000_000, seed)):
        measured(name, value, "")


@pytest.mark.parametrize("part", range(5))
def test_endpoints_stand_a_siege_of_a_million_frames(seed: int, part: int, measured: Measured) -> None:
    """See test_evs_fuzz.py. Five sieges, for the longest that a test may take."""
    for name, value in figures(Siege(seed + part).run(200_000)):
        measured(name, value, "")


@pytest.mark.parametrize("part", range(6))
async def test_safe_is_safe_through_ten_minutes_of_partitions(
    seed: int, part: int, tmp_path: Path, measured: Measured
) -> None:
    """See test_evs_walk.py. In parts of some hundred seconds each, for the longest that a test may take."""
    total = Figures()
    with CorosyncCluster(3, token=TOKEN_OF_DOMAINS) as cluster:
        for number in range(seed + 10 * part, seed + 10 * part + 10):
            total += await walk_in_domains(cluster, number, tmp_path / str(number), partitions)
    measured("checked", total.summary.lives, f"lives, {total}")


@on_all_loops
async def test_domains_keep_every_promise_on_many_random_walks(seed: int, tmp_path: Path, measured: Measured) -> None:
    """See test_evs_walk.py."""
    total = Figures()
    with CorosyncCluster(3, token=TOKEN_OF_DOMAINS) as cluster:
        for number in range(seed, seed + 10):
            total += await walk_in_domains(cluster, number, tmp_path / str(number))
    measured("checked", total.summary.lives, f"lives, {total}")


@pytest.mark.parametrize("mode", MODES)
def test_endpoints_keep_every_promise_in_a_thousand_simulated_runs(seed: int, mode: str, measured: Measured) -> None:
    """See evs/test_simulation.py."""
    for name, value in attempt(mode, range(seed, seed + 1000))._asdict().items():
        measured(name, value, "")


def come_back(node: ClusterNode) -> None:
    """Start the daemon again."""
    node.wait_gone()
    node.start()
    node.wait_ready()
