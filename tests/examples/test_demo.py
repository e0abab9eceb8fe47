"""The play of ``scripts/demo``, on both of its stages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.standstills import without_standstills

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


@pytest.mark.usefixtures("local_directory")
@pytest.mark.parametrize("stage", ["", "--cluster"])
def test_demo_ends_well(stage: str) -> None:
    """Two of three have read the same, the death of the third too."""
    arguments = [sys.executable, DEMO, *filter(None, [stage])]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, without_standstills(done.stderr)) == (0, "")
    assert "carol left (PROCDOWN), now: alice, bob" in done.stdout
    assert "alice and bob read the same" in done.stdout
