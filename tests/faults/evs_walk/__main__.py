"""
Many walks: ``python -m faults.evs_walk --seeds 0-99``, as root, with ``tests`` on the path. Ends with 1 if one fails.

``--partitions`` cuts and merges only, with SAFE messages on their way all the time; ``--minutes 10`` does that for ten
minutes. The lives of a walk that failed are kept, with the logs of the daemons.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
import traceback
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import anyio

from aiocpg.testing import CorosyncCluster
from faults.evs_walk.figures import Figures
from faults.evs_walk.schedule import partitions, schedule
from faults.evs_walk.trying import walk_and_check
from faults.evs_walk.walking import TOKEN


def main() -> int:
    """Walk with each seed."""
    parser = argparse.ArgumentParser(
        prog="python -m faults.evs_walk", description="Random walks of endpoints, checked."
    )
    parser.add_argument("--seeds", default="0-99", help="from-to, both included [%(default)s]")
    parser.add_argument("--partitions", action="store_true", help="nothing but partitions and merges")
    parser.add_argument("--minutes", type=float, help="partitions for so long, from the first seed on")
    parser.add_argument("--keep", type=Path, default=Path("evs-walks"), help="folder for what failed [%(default)s]")
    arguments = parser.parse_args()
    plan = partitions if arguments.partitions or arguments.minutes else schedule
    failed, total, walks = [], Figures(), 0
    with CorosyncCluster(3, token=TOKEN) as cluster:
        for seed in _seeds(arguments.seeds, arguments.minutes):
            walks += 1
            kept_in = arguments.keep / f"{plan.__name__}-{seed}"
            seen = _attempt(partial(walk_and_check, cluster, seed, kept_in, plan), seed)
            if seen is None:
                failed.append(seed)
            else:
                total += seen
                shutil.rmtree(kept_in)
    print(f"{walks} of {plan.__name__}, failed: {failed or 'none'}", *total.lines(), sep="\n", flush=True)
    return bool(failed)


def _seeds(text: str, minutes: float | None) -> Iterator[int]:
    first, _, last = text.partition("-")
    if minutes is None:
        yield from range(int(first), int(last or first) + 1)
        return
    end = time.monotonic() + 60 * minutes
    for seed in count(int(first)):
        if time.monotonic() > end:
            return
        yield seed


def _attempt(walk: partial[object], seed: int) -> Figures | None:
    """Walk once and say how it went; None if it failed."""
    began = time.monotonic()
    try:
        seen = anyio.run(walk)
    except Exception:  # noqa: BLE001 - whatever it is, the other seeds are to be walked
        print(f"seed {seed} FAILED\n{traceback.format_exc()}", flush=True)
        return None
    assert isinstance(seen, Figures)
    print(f"seed {seed}: {time.monotonic() - began:.1f} s, {seen.lines()[0]}", flush=True)
    return seen


if __name__ == "__main__":
    sys.exit(main())
