"""What comes out: one result per check, frozen, and the error that says which promise was broken."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from aiocpg.engine import _base


def _read_promises(text: str) -> dict[int, str]:
    found = re.findall(r"^(\d+)\. (.+(?:\n(?!\d+\. |\n).+)*)", text, re.MULTILINE)
    return {int(number): " ".join(promise.split()) for number, promise in found}


PROMISES = _read_promises(_base.__doc__ or "")
"""The promises by number, as ``aiocpg.engine._base`` words them; empty where Python keeps no docstrings (-OO)."""


class Outcome(enum.Enum):
    """What became of a check."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """
    One line of a report.

    Attributes:
        promise: The promise that was looked at, by its number.
        check: The check's name.
        outcome: What became of it.
        seen: What was seen where the promise is broken, why it cannot be looked at where it is not applicable.
    """

    promise: int
    check: str
    outcome: Outcome
    seen: str = ""

    def __str__(self) -> str:
        because = f": {self.seen}" if self.seen else ""
        return f"{self.promise:>2}  {self.check:<50} {self.outcome.value}{because}"


@dataclass(frozen=True, slots=True)
class EngineReport:
    """
    All checks of one engine, in the order of the table.

    Attributes:
        engine: The world's name for it.
        loop: The event loop it ran on: ``asyncio``, ``uvloop`` or ``trio``.
        results: One per check.
    """

    engine: str
    loop: str
    results: tuple[CheckResult, ...]

    def of(self, outcome: Outcome) -> tuple[CheckResult, ...]:
        """The results of one kind."""
        return tuple(result for result in self.results if result.outcome is outcome)

    def __str__(self) -> str:
        return "\n".join([f"{self.engine} on {self.loop}", *map(str, self.results)])


class ConformanceError(AssertionError):
    """
    An engine has broken a promise.

    Attributes:
        promise: Its number.
        check: The check that found out.
        seen: What was seen.
    """

    def __init__(self, promise: int, check: str, seen: str) -> None:
        super().__init__(promise, check, seen)
        self.promise = promise
        self.check = check
        self.seen = seen

    def __str__(self) -> str:
        wording = PROMISES.get(self.promise, "")
        return f"{self.check}: {self.seen}\npromise {self.promise}: {wording}"

    @property
    def result(self) -> CheckResult:
        """The line of the report."""
        return CheckResult(self.promise, self.check, Outcome.BROKEN, self.seen)
