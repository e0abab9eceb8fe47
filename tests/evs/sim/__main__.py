"""Many runs: ``python -m evs.sim --runs 10000 --mode all``, with ``tests`` on the path. Ends with 1 if one failed."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable
from multiprocessing.pool import Pool

from evs.sim.checker import Summary
from evs.sim.history import Violation
from evs.sim.modes import MODES
from evs.sim.running import Run

CHUNK = 50


def main() -> int:
    """Run each mode with many seeds."""
    parser = argparse.ArgumentParser(prog="python -m evs.sim", description="Simulated runs, checked.")
    parser.add_argument("--runs", type=int, default=1000, help="of each mode [%(default)s]")
    parser.add_argument("--first", type=int, default=1_000_000, help="seed of the first [%(default)s]")
    parser.add_argument("--mode", default="all", help=f"all, or one of {', '.join(MODES)}")
    parser.add_argument("--jobs", type=int, default=1, help="processes that run [%(default)s]")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.runs)
    modes = list(MODES) if arguments.mode == "all" else [arguments.mode]
    with Pool(arguments.jobs) as pool:
        failed = [mode for mode in modes if not attempt(pool, mode, seeds)]
    print(f"failed: {failed or 'none'}")
    return bool(failed)


def attempt(pool: Pool, mode: str, seeds: range) -> bool:
    """Make the runs of one mode and say how it went."""
    began = time.monotonic()
    total, counts, wrong = Summary(), Counter[str](), list[str]()
    for summary, some, failures in pool.imap_unordered(_some, _chunks(mode, seeds)):
        total += summary
        counts += some
        wrong += failures
    print(f"{mode}: {len(seeds)} runs, {len(wrong)} failed, {time.monotonic() - began:.0f} s", flush=True)
    print(f"    {total}\n    {dict(counts)}", flush=True)
    rules = Counter(line.split(": ")[1] for line in wrong)
    if wrong:
        print(f"    {dict(rules)}", *wrong[:5], sep="\n    ", flush=True)
    return not wrong


def _chunks(mode: str, seeds: range) -> Iterable[tuple[str, range]]:
    for start in range(0, len(seeds), CHUNK):
        yield mode, seeds[start : start + CHUNK]


def _some(chunk: tuple[str, range]) -> tuple[Summary, Counter[str], list[str]]:
    mode, seeds = chunk
    total, counts, wrong = Summary(), Counter[str](), list[str]()
    for seed in seeds:
        run = Run(MODES[mode], seed)
        try:
            total += run.run()
        except Violation as violation:
            wrong.append(f"seed {seed}: {violation}"[:600])
        except Exception as error:  # noqa: BLE001 - whatever it is, the other seeds are to be run
            wrong.append(f"seed {seed}: error: {error!r}")
        counts += run.counts
    return total, counts, wrong


if __name__ == "__main__":
    sys.exit(main())
