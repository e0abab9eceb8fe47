"""
Many walks: ``python -m faults.walk --seeds 0-199``, with ``tests`` on the path and as root. Ends with 1 if one failed.

A line for each walk says what was checked. The histories of one that failed are kept, with the logs of the daemons.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from itertools import groupby
from pathlib import Path

import anyio

from aiocpg.testing import CorosyncCluster
from faults.walk.checker import Summary
from faults.walk.schedule import nodes_of
from faults.walk.trying import walk_and_check
from faults.walk.walking import TOKEN


def main() -> int:
    """Walk with each seed."""
    parser = argparse.ArgumentParser(prog="python -m faults.walk", description="Random walks, checked.")
    parser.add_argument("--seeds", default="0-199", help="from-to, both included")
    parser.add_argument("--keep", type=Path, default=Path("walks"), help="folder for what failed [%(default)s]")
    arguments = parser.parse_args()
    first, _, last = arguments.seeds.partition("-")
    seeds = sorted(range(int(first), int(last or first) + 1), key=nodes_of)
    failed, total = [], Summary()
    for nodes, group in groupby(seeds, nodes_of):
        with CorosyncCluster(nodes, token=TOKEN) as cluster:
            for seed in group:
                summary = attempt(cluster, seed, arguments.keep / str(seed))
                failed += [seed] if summary is None else []
                total += summary or Summary()
    print(f"{len(seeds)} walks, failed: {failed or 'none'}, {total}", flush=True)
    return bool(failed)


def attempt(cluster: CorosyncCluster, seed: int, kept_in: Path) -> Summary | None:
    """Walk once and say how it went; None if it failed."""
    began = time.monotonic()
    try:
        summary = anyio.run(walk_and_check, cluster, seed, kept_in)
    except Exception:  # noqa: BLE001 - whatever it is, the other seeds are to be walked
        print(f"seed {seed} FAILED\n{traceback.format_exc()}", flush=True)
        return None
    print(f"seed {seed}: {time.monotonic() - began:.1f} s, {summary}", flush=True)
    return summary


if __name__ == "__main__":
    sys.exit(main())
