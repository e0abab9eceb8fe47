"""
Domains keep every promise while a schedule that follows from a seed breaks their cluster in every way there is.

``python -m faults.evs_walk`` makes many such walks, and repeats one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from itertools import pairwise
from pathlib import Path

import anyio
import pytest

from aiocpg import Guarantee
from aiocpg.evs import Receipt
from aiocpg.testing import CorosyncCluster
from evs.sim.checker import check
from evs.sim.history import Fate, Got, Life, Violation
from faults.evs_walk.figures import Figures
from faults.evs_walk.schedule import NODES, Step, partitions, schedule
from faults.evs_walk.trying import again, walk_and_check
from faults.evs_walk.walking import TOKEN, Walk
from faults.watching import Measured
from support.loops import BACKENDS

SEEDS = [0, 3, 7]

CUTS = (((1, 2), (3,)), ((1,), (2,), (3,)), ((1,), (2, 3)))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ground() -> Iterator[CorosyncCluster]:
    """Provide a cluster that is made once; each walk mends it before it begins."""
    with CorosyncCluster(3, token=TOKEN) as cluster:
        yield cluster


def cuts(number: int) -> list[Step]:
    """Cut and mend the network so many times while all send."""
    traffic = Step("traffic", count=100)
    steps = [traffic]
    for sides in CUTS[:number]:
        steps += [Step("partition", sides=sides), traffic, Step("formed", sides=sides), traffic]
        steps += [Step("heal"), traffic, Step("formed", sides=(NODES,)), traffic]
    return steps


@pytest.mark.anyio
async def test_safe_is_safe_while_the_network_is_cut_and_healed(
    ground: CorosyncCluster, no_leaks: None, tmp_path: Path, measured: Measured
) -> None:
    """What is delivered in a configuration, all of it deliver; what in a transitional one, all of that."""
    seen = await walk_and_check(ground, 1, tmp_path, lambda _: cuts(3))
    report(seen, measured)
    assert seen.summary.regular_safe > 100
    assert seen.summary.verified > 0


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [BACKENDS["uvloop"], BACKENDS["trio"]], ids=["uvloop", "trio"])
async def test_safe_is_safe_on_the_other_loops(
    ground: CorosyncCluster, no_leaks: None, tmp_path: Path, measured: Measured
) -> None:
    """A sample: one cut."""
    report(await walk_and_check(ground, 2, tmp_path, lambda _: cuts(1)), measured)


@pytest.mark.anyio
@pytest.mark.parametrize("seed", SEEDS, ids="seed-{}".format)
async def test_members_keep_every_promise_when_a_schedule_breaks_their_cluster(
    ground: CorosyncCluster, no_leaks: None, seed: int, tmp_path: Path, measured: Measured
) -> None:
    """Daemons and members are stopped, killed and started, the network is cut, members leave and come."""
    report(await walk_and_check(ground, seed, tmp_path), measured)


def report(seen: Figures, measured: Measured) -> None:
    """Tell what was checked, and what was told."""
    measured("checked", seen.summary.lives, f"lives, {seen}")


# -- Whether the checker looks at what real members record


@pytest.fixture(scope="module")
def real(ground: CorosyncCluster, tmp_path_factory: pytest.TempPathFactory) -> Sequence[Life]:
    """Provide the lives of a short walk, which are good."""
    ground.restore()
    walk = Walk(ground, 5, tmp_path_factory.mktemp("real"), cuts(1))
    anyio.run(walk.run)
    return [life for player in walk.players for life in player.story.lives]


Spoil = Callable[[list[Life]], object]


def without_one(lives: list[Life]) -> None:
    """Let a member have missed a SAFE message that another has, neither of whom has sent it."""
    mine, yours = lives[:2]
    shared = {event.message for event in yours.events if isinstance(event, Got)}
    wanted = next(
        event
        for event in mine.events
        if isinstance(event, Got)
        and event.guarantee == Guarantee.SAFE
        and event.message in shared
        and not event.transitional
        and event.sender not in {mine.me, yours.me}
    )
    mine.events.remove(wanted)


def with_one_twice(lives: list[Life]) -> None:
    """Let a member have got a message twice, and not the one behind it."""
    events = lives[0].events
    for place, (event, after) in enumerate(pairwise(events)):
        if isinstance(event, Got) and isinstance(after, Got):
            events[place + 1] = event._replace(position=after.position)
            return


def with_one_altered(lives: list[Life]) -> None:
    """Let a message have come altered."""
    life = lives[0]
    place = next(place for place, event in enumerate(life.events) if isinstance(event, Got))
    found = life.events[place]
    assert isinstance(found, Got)
    life.events[place] = found._replace(crc=found.crc ^ 1)


def with_a_wrong_receipt(lives: list[Life]) -> None:
    """Let a receipt tell another position."""
    sent = lives[0].sent
    place = next(place for place, one in enumerate(sent) if isinstance(one.outcome, Receipt))
    outcome = sent[place].outcome
    assert isinstance(outcome, Receipt)
    sent[place] = sent[place]._replace(outcome=Receipt(outcome.position + 1, outcome.configuration))


def without_an_outcome(lives: list[Life]) -> None:
    """Let a member never have learnt what became of a message."""
    lives[0].sent[0] = lives[0].sent[0]._replace(outcome=Fate.OPEN)


def wrongly_lost(lives: list[Life]) -> None:
    """Let a member have been told that a message is lost that was delivered."""
    lives[0].sent[0] = lives[0].sent[0]._replace(outcome=Fate.LOST)


WAYS: dict[str, Spoil] = {
    "S1": without_one,
    "S6 twice": with_one_twice,
    "S6 altered": with_one_altered,
    "S6 receipt": with_a_wrong_receipt,
    "S6 open": without_an_outcome,
    "S6 lost": wrongly_lost,
}


@pytest.mark.parametrize("way", WAYS)
def test_lives_of_real_members_are_rejected_when_one_is_spoiled(real: Sequence[Life], way: str) -> None:
    """The checker sees in them what it sees in simulated ones."""
    lives = deepcopy(list(real))
    check(lives)
    WAYS[way](lives)
    with pytest.raises(Violation) as caught:
        check(lives)
    assert caught.value.rule.startswith(way[:2])


@pytest.mark.parametrize("seed", range(20))
def test_schedule_follows_from_its_seed_and_mends_all(seed: int) -> None:
    """What was stopped goes on, who was killed is there, the network is whole."""
    steps = schedule(seed)
    assert steps == schedule(seed)
    left = {
        (undone, step.spot)
        for undone, done in [("stop", "cont"), ("pause", "resume"), ("leave", "join"), ("close", "join")]
        for place, step in enumerate(steps)
        if step.action == undone and not any(later.action in {done, "kill", "murder"} for later in steps[place:])
    }
    assert not left
    assert [step for step in steps if step.action in {"partition", "heal"}][-1].action == "heal"


def test_a_failure_tells_how_to_see_it_again() -> None:
    """The command has the seed, and the plan."""
    assert again(4711) == "PYTHONPATH=tests python -m faults.evs_walk --seeds 4711"
    assert again(4711, partitions) == "PYTHONPATH=tests python -m faults.evs_walk --partitions --seeds 4711"
