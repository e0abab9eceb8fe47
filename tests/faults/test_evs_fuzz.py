"""Endpoints of EVS, and frames that no endpoint would send."""

from __future__ import annotations

from faults.evs_fuzzing import WORDS, Siege, figures, fuzz_parse
from faults.watching import Measured


def test_of_any_bytes_comes_a_frame_or_the_one_error(measured: Measured) -> None:
    """100 000 frames, random and spoilt; see campaigns.py for the million."""
    told = fuzz_parse(100_000, seed=1)
    for name, value in figures(told):
        measured(name, value, "")
    assert told.good + told.refused.total() == told.frames
    assert told.refused.keys() <= WORDS


def test_besieged_endpoints_count_each_frame_and_agree(measured: Measured) -> None:
    """50 000 frames of hostile members and a stranger; see campaigns.py for the million."""
    told = Siege(seed=1).run(50_000)
    for name, value in figures(told):
        measured(name, value, "")
    assert told.dropped.keys() == WORDS - {"altered"}
    assert told.compared > 10_000
