"""A walk with its check; what can tell why it failed is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from aiocpg.testing import CorosyncCluster
from faults.evs_walk.figures import Figures, figures
from faults.evs_walk.schedule import Step, partitions, schedule
from faults.evs_walk.walking import Walk


async def walk_and_check(
    cluster: CorosyncCluster, seed: int, kept_in: Path, plan: Callable[[int], list[Step]] = schedule
) -> Figures:
    """
    Mend the cluster, walk and check.

    Raises:
        Exception: What went wrong, with a note that says how to see it again.
    """
    await cluster.until_restored()
    steps = plan(seed)
    walk = Walk(cluster, seed, kept_in, steps)
    try:
        summary = await walk.run()
        return figures(summary, steps, [player.story for player in walk.players])
    except BaseException as error:
        keep(walk, cluster, kept_in)
        error.add_note(f"lives, diary and logs: {kept_in}\nagain: {again(seed, plan)}")
        raise


def again(seed: int, plan: Callable[[int], list[Step]] = schedule) -> str:
    """Return the command that repeats a walk."""
    if plan is partitions:
        return f"PYTHONPATH=tests python -m faults.evs_walk --partitions --seeds {seed}"
    return f"PYTHONPATH=tests python -m faults.evs_walk --seeds {seed}"


def keep(walk: Walk, cluster: CorosyncCluster, folder: Path) -> None:
    """Write down what can tell what went wrong; what members in other processes recorded is there already."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "diary").write_text("\n".join(walk.diary) + "\n")
    for player in walk.players:
        path = folder / f"member-{player.profile.number}"
        if not path.exists():
            path.write_text("".join(json.dumps(line) + "\n" for line in player.story.lines))
    for node in cluster.nodes:
        (folder / f"node{node.nodeid}.log").write_text(node.log)
