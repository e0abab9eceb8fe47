"""
Endpoints keep what EVS promises in a simulated cluster, whatever is done to it.

``AIOCPG_SEED`` repeats a run. ``python -m evs.sim`` makes many.
"""

from __future__ import annotations

import pytest

from evs.sim.history import Violation
from evs.sim.modes import MODES, Mode
from evs.sim.mutants import MUTANTS, Mutant
from evs.sim.running import Run
from evs.sim.trying import again, attempt, seeds

RUNS = 100


@pytest.mark.parametrize("mode", MODES)
def test_endpoints_keep_every_promise(mode: str) -> None:
    """S1 to S11, in each mode of faults."""
    summary = attempt(mode, seeds(RUNS))
    assert summary.configurations > 0
    assert summary.regular_safe > 0 or not MODES[mode].has_safe


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_endpoint_with_a_fault_is_found_out(mutant: Mutant) -> None:
    """The simulation does what shows it, and the checker sees it."""
    with mutant.applied(), pytest.raises(Violation):
        for seed in range(mutant.runs):
            Run(MODES[mutant.mode], seed).run()


def test_a_run_is_repeated_by_its_seed() -> None:
    """Or a failure could not be looked into."""
    first, second = Run(Mode(large=0.1), 7), Run(Mode(large=0.1), 7)
    assert first.run() == second.run()
    assert first.counts == second.counts


def test_a_failure_tells_how_to_see_it_again() -> None:
    """The command has the seed, and runs this file."""
    assert again("tiny", 4711) == "AIOCPG_SEED=4711 scripts/test tests/evs/test_simulation.py -k tiny"
