"""What walks have seen, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from evs.sim.checker import Summary
from faults.evs_walk.schedule import Step
from faults.evs_walk.story import Story


class Figures(NamedTuple):
    """What was checked, what was done, and what the members were told."""

    summary: Summary = Summary()
    steps: Counter[str] = Counter()  # noqa: RUF012 - it is never changed
    counts: Counter[str] = Counter()  # noqa: RUF012

    def __add__(self, other: object) -> Figures:
        assert isinstance(other, Figures)
        return Figures(self.summary + other.summary, self.steps + other.steps, self.counts + other.counts)

    def __str__(self) -> str:
        return "; ".join(self.lines())

    def lines(self) -> list[str]:
        """For people."""
        return [
            " ".join(f"{name}={value}" for name, value in self.summary._asdict().items()),
            *(_words(counter) for counter in (self.steps, self.counts)),
        ]


def figures(summary: Summary, steps: Sequence[Step], stories: Sequence[Story]) -> Figures:
    """The figures of one walk."""
    counts = sum((story.counts for story in stories), Counter[str]())
    return Figures(summary, Counter(step.action for step in steps), counts)


def _words(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {counter[name]}" for name in sorted(counter))
