"""
The suite that every engine must pass: the promises of :mod:`aiocpg.engine._base`, one by one, as checks.

The author of an engine supplies a :class:`World`; :func:`check_engine` runs all checks in it. A check talks to the
engine at its own edge, the way the rest of the library does. What the engine did is read in ``_reading``, which is
pure; ``_room`` is where a check and an engine meet, ``_run`` keeps both from taking the program down with them.
"""

from ._report import CheckResult, ConformanceError, EngineReport, Outcome
from ._run import check_engine, run_check
from ._table import CHECKS, Check
from ._world import Abilities, Absent, World

__all__ = [
    "CHECKS",
    "Abilities",
    "Absent",
    "Check",
    "CheckResult",
    "ConformanceError",
    "EngineReport",
    "Outcome",
    "World",
    "check_engine",
    "run_check",
]
