"""The play of ``scripts/demo``, on both of its stages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from aiocpg.engine.local._directory import VARIABLE
from support.local_worlds import end_brokers

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


@pytest.mark.parametrize("stage", ["", "--cluster"])
def test_demo_ends_well(stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of three have read the same, the death of the third too."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "local"))
    arguments = [sys.executable, DEMO, *filter(None, [stage])]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    end_brokers(tmp_path / "local")
    assert (done.returncode, done.stderr) == (0, "")
    assert "carol left (PROCDOWN), now: alice, bob" in done.stdout
    assert "alice and bob read the same" in done.stdout
