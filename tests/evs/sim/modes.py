"""Fault modes: what is broken in a run, and how often."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Mode:
    """
    One mode. Shares are probabilities, of each occasion that there is.

    Attributes:
        faults: How many faults, as a factor.
        keeps_lists: Whether Corosync remembers who came along when a synchronisation is aborted; 3.1.7 does not.
        loss: Share of ring formations at which a node's first frames are lost for those who come from elsewhere.
        loses_joins: Whether joins and leaves are lost as well.
        ghosts: Share of synchronisations in which the members of an aborted one are listed as well.
        restarts: Share of faults that start a crashed node again, under its id and in part with the same pids.
        survivors: Share of the processes of a crashed node that live on, and come back with it.
        strangers: Share of faults that let a process in that is no endpoint and talks nonsense.
        duplicates: Share of frames that come twice.
        drops: Share of frames that the daemon takes and forgets.
        corruption: Share of frames of others in which a bit is wrong when they get here.
        strict: Endpoints have ``strict_views``.
        evicts: Endpoints evict laggards.
        crc: Endpoints checksum their frames.
        has_safe: Whether anything is sent SAFE.
        large: Share of sends that go in pieces.
        max_frame: Bytes.
        window: Bytes.
        piece: Bytes.
        kept: Values of a chain that are kept, more than a round of answers of all members; None: as in the package.
        pending: Views that may be pending; None: as many as in the package.
    """

    faults: float = 1.0
    keeps_lists: bool = False
    loss: float = 0.0
    loses_joins: bool = False
    ghosts: float = 0.0
    restarts: float = 0.0
    survivors: float = 0.0
    strangers: float = 0.0
    duplicates: float = 0.0
    drops: float = 0.0
    corruption: float = 0.0
    strict: bool = False
    evicts: bool = True
    crc: bool = False
    has_safe: bool = True
    large: float = 0.0
    max_frame: int = 65536
    window: int = 1 << 20
    piece: int = 1000
    kept: int | None = None
    pending: int | None = None

    @property
    def largest(self) -> int:
        """Bytes of the largest message."""
        return 8 * self.piece if self.large else 120

    @property
    def is_sound(self) -> bool:
        """Whether Corosync keeps its promises, but for the frames behind a hole."""
        broken = (self.loss, self.ghosts, self.restarts, self.strangers, self.drops, self.corruption)
        return self.keeps_lists and not any(broken)


IDEAL = Mode(keeps_lists=True)
USUAL = Mode()
LOSSY = Mode(loss=0.7)
TINY = Mode(max_frame=400, window=900, piece=120, large=0.15)

MODES: dict[str, Mode] = {
    "ideal": IDEAL,
    "usual": USUAL,
    "lossy": LOSSY,
    "strict": replace(IDEAL, strict=True),
    "strict-lossy": replace(LOSSY, strict=True, crc=True),
    "no-eviction": replace(USUAL, evicts=False),
    "lossy-no-eviction": replace(LOSSY, evicts=False),
    "heavy": Mode(loss=0.5, faults=2.5),
    "few-pending": replace(USUAL, faults=2.0, pending=2),
    "agreed-only": replace(USUAL, has_safe=False),
    "tiny": TINY,
    "tiny-lossy": replace(TINY, loss=0.5, faults=1.5),
    "pruned": replace(USUAL, kept=24, loss=0.3),
    "lost-joins": replace(LOSSY, loses_joins=True),
    "ghosts": replace(USUAL, ghosts=0.7, faults=1.5),
    "restarts": replace(USUAL, restarts=0.25, survivors=0.3, faults=1.5),
    "strangers": replace(USUAL, strangers=0.15, duplicates=0.05, crc=True),
    "drops": replace(TINY, drops=0.05),
    "corrupt": replace(USUAL, corruption=0.004, crc=True),
    "everything": replace(
        TINY,
        loss=0.4,
        loses_joins=True,
        ghosts=0.5,
        restarts=0.2,
        survivors=0.3,
        strangers=0.05,
        duplicates=0.02,
        drops=0.01,
        kept=24,
        faults=1.5,
    ),
}
"""Corosync that keeps its promises, Corosync 3.1.7, and worse."""
