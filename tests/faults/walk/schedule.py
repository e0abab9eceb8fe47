"""What is done to a cluster in one walk: a pure function of the seed, so that a walk can be walked again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

Sides: TypeAlias = tuple[tuple[int, ...], ...]

Action: TypeAlias = Literal[
    "kill", "terminate", "start", "stop", "cont", "partition", "heal", "join", "leave", "close", "traffic", "formed"
]

NODES = (3, 3, 3, 4, 3, 3, 3, 5)
"""How many nodes a walk has, by the remainder of its seed."""

FAULTS = 12
"""Faults in one walk, before everything is mended."""


class Step(NamedTuple):
    """
    One thing to do, or to wait for.

    ``traffic`` waits until each member on ``sides[0]`` has sent ``count`` more messages, ``formed`` until each of
    ``sides`` is a ring.
    """

    action: Action
    node: int = 0
    sides: Sides = ()
    count: int = 0

    def __str__(self) -> str:
        words = [self.action, self.node or "", self.count or "", "|".join(",".join(map(str, s)) for s in self.sides)]
        return " ".join(str(word) for word in words if word)


def schedule(seed: int) -> list[Step]:
    """Return the steps of one walk: faults, what is waited for after each, and at the end all that mends."""
    return list(_Plan(seed).steps())


def nodes_of(seed: int) -> int:
    """How many nodes the walk with this seed has."""
    return NODES[seed % len(NODES)]


class _Plan:
    """What state the cluster is in after the steps so far, and what can be done to it next."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(f"schedule {seed}")
        self._nodes = range(1, nodes_of(seed) + 1)
        self._running = set(self._nodes)
        self._stopped: set[int] = set()
        self._members = set(self._nodes)
        self._sides: Sides = (tuple(self._nodes),)

    def steps(self) -> Iterator[Step]:
        yield self._traffic()
        for _ in range(FAULTS):
            yield self._apply(self._choose())
            yield from self._pause()
        yield from self._mend()

    @property
    def _alive(self) -> list[int]:
        return sorted(self._running - self._stopped)

    def _choose(self) -> Step:
        """Choose among what is possible; what mends is as likely as what breaks, or soon nothing would be left."""
        kinds: list[tuple[int, Action, Sequence[int]]] = [
            (3, "kill", self._breakable()),
            (2, "terminate", self._breakable()),
            (6, "start", sorted(set(self._nodes) - self._running)),
            (3, "stop", self._breakable()),
            (6, "cont", sorted(self._stopped)),
            (4, "partition", self._nodes if len(self._sides) == 1 else ()),
            (6, "heal", self._nodes if len(self._sides) > 1 else ()),
            (2, "leave", self._able()),
            (2, "close", self._able()),
            (5, "join", sorted(set(self._alive) - self._members)),
        ]
        possible = [kind for kind in kinds if kind[2]]
        [(_, action, nodes)] = self._rng.choices(possible, [weight for weight, _, _ in possible])
        if action in ("partition", "heal"):
            return Step(action, sides=self._cut() if action == "partition" else ())
        return Step(action, self._rng.choice(nodes))

    def _breakable(self) -> list[int]:
        return self._alive if len(self._alive) > 1 else []

    def _able(self) -> list[int]:
        return sorted(self._members.intersection(self._alive))

    def _cut(self) -> Sides:
        """Return two or three sides, none of them empty."""
        nodes = list(self._nodes)
        self._rng.shuffle(nodes)
        marks = sorted(self._rng.sample(range(1, len(nodes)), self._rng.choice((1, 1, 2))))
        parts = [nodes[begin:end] for begin, end in zip([0, *marks], [*marks, len(nodes)], strict=True)]
        return tuple(sorted(tuple(sorted(part)) for part in parts))

    def _apply(self, step: Step) -> Step:
        """Note what a step does."""
        changes: dict[str, Callable[[], object]] = {
            "kill": lambda: (self._running.discard(step.node), self._stopped.discard(step.node)),
            "terminate": lambda: self._running.discard(step.node),
            "start": lambda: self._running.add(step.node),
            "stop": lambda: self._stopped.add(step.node),
            "cont": lambda: self._stopped.discard(step.node),
            "partition": lambda: setattr(self, "_sides", step.sides),
            "heal": lambda: setattr(self, "_sides", (tuple(self._nodes),)),
            "join": lambda: self._members.add(step.node),
            "leave": lambda: self._members.discard(step.node),
            "close": lambda: self._members.discard(step.node),
        }
        changes[step.action]()
        return step

    def _pause(self) -> list[Step]:
        """Return what is waited for after a fault: nothing, a few messages of those who can, or the rings to form."""
        kind = self._rng.choices(("nothing", "traffic", "formed"), (3, 4, 3))[0]
        return [] if kind == "nothing" else [self._traffic() if kind == "traffic" else self._formed()]

    def _traffic(self) -> Step:
        return Step("traffic", sides=(tuple(self._able()),), count=self._rng.randrange(10, 250))

    def _formed(self) -> Step:
        sides = [tuple(node for node in side if node in self._alive) for side in self._sides]
        return Step("formed", sides=tuple(side for side in sides if side))

    def _mend(self) -> Iterator[Step]:
        yield Step("heal")
        for node in self._nodes:
            if node in self._stopped:
                yield Step("cont", node)
            if node not in self._running:
                yield Step("start", node)
            if node not in self._members:
                yield Step("join", node)
        yield Step("formed", sides=(tuple(self._nodes),))
