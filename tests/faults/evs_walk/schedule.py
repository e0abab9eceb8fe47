"""What is done to a cluster and its members in one walk: a pure function of the seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

Sides: TypeAlias = tuple[tuple[int, ...], ...]

Action: TypeAlias = Literal[
    "kill",
    "terminate",
    "start",
    "stop",
    "cont",
    "partition",
    "heal",
    "pause",
    "resume",
    "murder",
    "spawn",
    "leave",
    "close",
    "join",
    "traffic",
    "formed",
    "dwell",
]

NODES = (1, 2, 3)

CHILDREN = {4: 1, 5: 2}
"""Spots of members with a process of their own -> their node. The others have the number of theirs."""

FAULTS = 12
"""Faults in one walk, before everything is mended."""

CUTS = 6
"""Partitions in one round of a campaign."""


class Step(NamedTuple):
    """
    One thing to do, or to wait for.

    ``spot`` is a node for what is done to daemons, otherwise a member's. ``traffic`` waits until the members have sent
    ``count`` more messages in all, or some time has gone by; ``formed`` until each of ``sides`` is a ring; ``dwell``
    for ``count`` milliseconds.
    """

    action: Action
    spot: int = 0
    sides: Sides = ()
    count: int = 0

    def __str__(self) -> str:
        words = [self.action, self.spot or "", self.count or "", "|".join(",".join(map(str, s)) for s in self.sides)]
        return " ".join(str(word) for word in words if word)


def schedule(seed: int) -> list[Step]:
    """Return the steps of one walk: faults, what is waited for after each, and at the end all that mends."""
    return list(_Plan(seed).steps())


def partitions(seed: int) -> list[Step]:
    """Return the steps of one round of partitions and merges, some of which come in the midst of others."""
    rng = random.Random(f"partitions {seed}")
    steps = [Step("traffic", count=100)]
    for _ in range(CUTS):
        sides = _cut(rng)
        steps += [Step("partition", sides=sides), *_wait(rng, sides), Step("heal"), *_wait(rng, (NODES,))]
    return [*steps, Step("formed", sides=(NODES,))]


def _wait(rng: random.Random, sides: Sides) -> list[Step]:
    kind = rng.choices(("both", "formed", "dwell"), (5, 2, 2))[0]
    if kind == "dwell":
        return [Step("dwell", count=rng.randrange(50, 1500))]
    traffic = [Step("traffic", count=rng.randrange(20, 300))] if kind == "both" else []
    return [Step("formed", sides=sides), *traffic]


def _cut(rng: random.Random) -> Sides:
    """Return two or three sides, none of them empty."""
    nodes = list(NODES)
    rng.shuffle(nodes)
    marks = sorted(rng.sample(range(1, len(nodes)), rng.choice((1, 1, 2))))
    parts = [nodes[begin:end] for begin, end in zip([0, *marks], [*marks, len(nodes)], strict=True)]
    return tuple(sorted(tuple(sorted(part)) for part in parts))


class _Plan:
    """What state the cluster is in after the steps so far, and what can be done to it next."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(f"schedule {seed}")
        self._running = set(NODES)
        self._stopped: set[int] = set()
        self._paused: set[int] = set()
        self._there = {*NODES, *CHILDREN}
        self._dead: set[int] = set()
        self._sides: Sides = (NODES,)

    def steps(self) -> Iterator[Step]:
        yield Step("traffic", count=100)
        for _ in range(FAULTS):
            yield self._apply(self._choose())
            yield from self._pause()
        yield from self._mend()

    @property
    def _alive(self) -> list[int]:
        return sorted(self._running - self._stopped)

    def _choose(self) -> Step:
        """Choose among what is possible; what mends is as likely as what breaks, or soon nothing would be left."""
        awake = sorted(CHILDREN.keys() - self._dead - self._paused)
        breakable = self._alive if len(self._alive) > 1 else []
        able = sorted(self._there - self._dead - self._paused)
        kinds: list[tuple[int, Action, Sequence[int]]] = [
            (2, "kill", breakable),
            (1, "terminate", breakable),
            (5, "start", sorted(set(NODES) - self._running)),
            (2, "stop", breakable),
            (5, "cont", sorted(self._stopped)),
            (6, "partition", NODES if len(self._sides) == 1 else ()),
            (8, "heal", NODES if len(self._sides) > 1 else ()),
            (4, "pause", awake),
            (6, "resume", sorted(self._paused)),
            (2, "murder", sorted(CHILDREN.keys() - self._dead)),
            (5, "spawn", sorted(self._dead)),
            (1, "leave", able),
            (1, "close", able),
            (4, "join", sorted({*NODES, *CHILDREN} - self._there - self._dead - self._paused)),
        ]
        possible = [kind for kind in kinds if kind[2]]
        [(_, action, spots)] = self._rng.choices(possible, [weight for weight, _, _ in possible])
        if action in ("partition", "heal"):
            return Step(action, sides=_cut(self._rng) if action == "partition" else ())
        return Step(action, self._rng.choice(spots))

    def _apply(self, step: Step) -> Step:
        """Note what a step does."""
        spot = step.spot
        changes: dict[str, Callable[[], object]] = {
            "kill": lambda: (self._running.discard(spot), self._stopped.discard(spot)),
            "terminate": lambda: self._running.discard(spot),
            "start": lambda: self._running.add(spot),
            "stop": lambda: self._stopped.add(spot),
            "cont": lambda: self._stopped.discard(spot),
            "partition": lambda: setattr(self, "_sides", step.sides),
            "heal": lambda: setattr(self, "_sides", (NODES,)),
            "pause": lambda: self._paused.add(spot),
            "resume": lambda: self._paused.discard(spot),
            "murder": lambda: (self._paused.discard(spot), self._dead.add(spot)),
            "spawn": lambda: (self._dead.discard(spot), self._there.add(spot)),
            "leave": lambda: self._there.discard(spot),
            "close": lambda: self._there.discard(spot),
            "join": lambda: self._there.add(spot),
        }
        changes[step.action]()
        return step

    def _pause(self) -> list[Step]:
        """Return what is waited for after a fault: nothing, a time, some messages, or the rings to form."""
        kind = self._rng.choices(("nothing", "dwell", "traffic", "formed"), (2, 3, 3, 3))[0]
        if kind == "nothing":
            return []
        if kind == "dwell":
            return [Step("dwell", count=self._rng.randrange(50, 2500))]
        return [Step("traffic", count=self._rng.randrange(20, 400)) if kind == "traffic" else self._formed()]

    def _formed(self) -> Step:
        sides = [tuple(node for node in side if node in self._alive) for side in self._sides]
        return Step("formed", sides=tuple(side for side in sides if side))

    def _mend(self) -> Iterator[Step]:
        yield Step("heal")
        yield from (Step("cont", node) for node in sorted(self._stopped))
        yield from (Step("start", node) for node in sorted(set(NODES) - self._running))
        yield from (Step("resume", spot) for spot in sorted(self._paused))
        yield from (Step("spawn", spot) for spot in sorted(self._dead))
        yield from (Step("join", spot) for spot in sorted({*NODES, *CHILDREN} - self._there - self._dead))
        yield Step("formed", sides=(NODES,))
