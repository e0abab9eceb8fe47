"""
Members keep every promise while a schedule that follows from a seed breaks their cluster in every way there is.

``AIOCPG_SEED`` repeats a walk, as far as timing repeats. ``python -m faults.walk`` makes many.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path
from typing import TypeAlias

import anyio
import pytest

from aiocpg.testing import CorosyncCluster
from faults.walk.checker import Summary, Violation, check
from faults.walk.records import History
from faults.walk.schedule import Step, nodes_of
from faults.walk.spoiling import WAYS, Way
from faults.walk.trying import again, walk_and_check
from faults.walk.walking import TOKEN, Walk
from faults.watching import Measured
from support.loops import BACKENDS

Clusters: TypeAlias = Callable[[int], CorosyncCluster]

CHOSEN = os.environ.get("AIOCPG_SEED")

SEEDS = [int(CHOSEN)] if CHOSEN else [16, 22, 49, 56, 3, 7]
"""Long ones, with many merges, on three nodes, and one each on four and five."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clusters() -> Iterator[Clusters]:
    """Provide a cluster of as many nodes as asked for, made once; each walk mends it before it begins."""
    with ExitStack() as stack:
        made: dict[int, CorosyncCluster] = {}

        def cluster(nodes: int) -> CorosyncCluster:
            if nodes not in made:
                made[nodes] = stack.enter_context(CorosyncCluster(nodes, token=TOKEN))
            return made[nodes]

        yield cluster


@pytest.fixture
def ground(clusters: Clusters, seed: int) -> CorosyncCluster:
    """Provide the cluster for a seed."""
    return clusters(nodes_of(seed))


@pytest.mark.anyio
@pytest.mark.parametrize("seed", SEEDS, ids="seed-{}".format)
async def test_members_keep_every_promise_when_a_schedule_breaks_their_cluster(
    ground: CorosyncCluster, no_leaks: None, seed: int, tmp_path: Path, measured: Measured
) -> None:
    """One order on each ring, nothing doubled, altered or without a reason; missing is only what Corosync loses."""
    report(await walk_and_check(ground, seed, tmp_path), measured)


@pytest.mark.anyio
@pytest.mark.parametrize("seed", SEEDS[:1] if CHOSEN else [10], ids="seed-{}".format)
@pytest.mark.parametrize("anyio_backend", [BACKENDS["uvloop"], BACKENDS["trio"]], ids=["uvloop", "trio"])
async def test_members_keep_every_promise_on_the_other_loops(
    ground: CorosyncCluster, no_leaks: None, seed: int, tmp_path: Path, measured: Measured
) -> None:
    """A sample of the walks on uvloop and trio."""
    report(await walk_and_check(ground, seed, tmp_path), measured)


def report(summary: Summary, measured: Measured) -> None:
    """Tell what was checked, and what was missed."""
    values = summary._asdict()
    measured("messages", values.pop("messages"), ", ".join(f"{name} {value}" for name, value in values.items()))


@pytest.fixture(scope="module")
def real(clusters: Clusters) -> Sequence[History]:
    """Provide the histories of a real walk, which are good, with everything in them that can be spoiled."""
    cluster, all_nodes, two = clusters(3), (1, 2, 3), (1, 2)
    steps = [
        *(Step("traffic", sides=(all_nodes,), count=20), Step("partition", sides=(two, (3,)))),
        *(Step("formed", sides=(two, (3,))), Step("traffic", sides=(all_nodes,), count=20), Step("heal")),
        *(Step("formed", sides=(all_nodes,)), Step("leave", 2), Step("join", 2)),
        *(Step("traffic", sides=(all_nodes,), count=20), Step("kill", 3), Step("formed", sides=(two,))),
        *(Step("traffic", sides=(two,), count=20), Step("start", 3), Step("formed", sides=(all_nodes,))),
        Step("traffic", sides=(all_nodes,), count=40),
    ]

    async def walk() -> Sequence[History]:
        await cluster.until_restored()
        return await Walk(cluster, 1, steps).run()

    cluster.restore()
    histories = anyio.run(walk)
    check(histories)
    return histories


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_real_histories_are_rejected_when_one_is_spoiled(real: Sequence[History], way: Way) -> None:
    """The checker sees in them what it sees in imagined ones, see test_walk_checker.py."""
    histories = deepcopy(real)
    assert way(histories, random.Random(1))
    with pytest.raises(Violation):
        check(histories)


def test_a_failure_tells_how_to_see_it_again() -> None:
    """The command has the seed, and runs this file."""
    assert again(4711) == f"AIOCPG_SEED=4711 scripts/test tests/faults/{Path(__file__).name}"
