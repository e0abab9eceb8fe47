"""Runs with what tells how to see a failure again."""

from __future__ import annotations

import os
from collections.abc import Iterable

from evs.sim.checker import Summary
from evs.sim.modes import MODES
from evs.sim.running import Run


def seeds(count: int) -> Iterable[int]:
    """The seeds of so many runs; one where AIOCPG_SEED names it."""
    chosen = os.environ.get("AIOCPG_SEED")
    return [int(chosen)] if chosen else range(count)


def attempt(mode: str, some: Iterable[int]) -> Summary:
    """
    Make runs.

    Raises:
        Violation: A promise was not kept, with a note that says how to see it again.
    """
    total = Summary()
    for seed in some:
        try:
            total += Run(MODES[mode], seed).run()
        except Exception as error:
            error.add_note(f"again: {again(mode, seed)}")
            raise
    return total


def again(mode: str, seed: int) -> str:
    """Return the command that repeats a run."""
    return f"AIOCPG_SEED={seed} scripts/test tests/evs/test_simulation.py -k {mode}"
