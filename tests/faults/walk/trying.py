"""A walk with its check; what can tell why it failed is kept."""

from __future__ import annotations

from pathlib import Path

from aiocpg.testing import CorosyncCluster
from faults.walk.checker import Summary, check
from faults.walk.records import to_lines
from faults.walk.rings import formed
from faults.walk.walking import Walk


async def walk_and_check(cluster: CorosyncCluster, seed: int, kept_in: Path) -> Summary:
    """
    Mend the cluster, walk and check.

    Raises:
        Exception: What went wrong, with a note that says how to see it again.
    """
    cluster.restore()
    await cluster.until_restored()
    walk = Walk(cluster, seed)
    try:
        histories = await walk.run()
        return check(histories, {node.nodeid: formed(node.log) for node in cluster.nodes})
    except BaseException as error:
        keep(walk, cluster, kept_in)
        error.add_note(f"histories, diary and logs: {kept_in}\nagain: {again(seed)}")
        raise


def again(seed: int) -> str:
    """Return the command that repeats a walk."""
    return f"AIOCPG_SEED={seed} scripts/test tests/faults/test_random_walk.py"


def keep(walk: Walk, cluster: CorosyncCluster, folder: Path) -> None:
    """Write down what can tell what went wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "diary").write_text("\n".join(walk.diary) + "\n")
    (folder / "histories").write_text("\n".join(to_lines(walk.histories)) + "\n")
    for node in cluster.nodes:
        (folder / f"node{node.nodeid}.log").write_text(node.log)
