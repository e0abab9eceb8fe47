"""
A daemon: what it says on its ring, what it hears, and how it moves from one ring to the next.

As Corosync does it: what any of those had heard who come along is delivered by all of them, up to the first hole to
each, and behind it what they themselves had said. Then they synchronise: each says whom it has, and what processes say
has to wait until all have.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from random import Random

from aiocpg import Address, Reason, RingId
from evs.sim.clients import Client, Standing
from evs.sim.cpg import Groups
from evs.sim.modes import Mode
from evs.sim.rings import Item, Kind, Legacy, Ring


class Daemon:
    """
    The daemon of a node.

    Attributes:
        node: The node's id.
        is_up: Whether it runs.
        ring: The ring it is on.
        next: The ring it is about to move to.
        seq: The highest number of a ring that it knows.
        clients: Its processes.
        holes: How often it went over a hole.
    """

    def __init__(self, node: int, rng: Random, mode: Mode) -> None:
        self.node = node
        self.is_up = True
        self.seq = 4
        self.clients: list[Client] = []
        self.next: Ring | None = None
        self.holes = 0
        self._rng = rng
        self._mode = mode
        self._place = 0  # on the ring, of the next thing to be delivered
        self._heard: set[int] = set()
        self._has_told = False
        self._waiting: deque[Item] = deque()
        self._groups = Groups(node, self.clients, mode, rng)
        self._enter(Ring(RingId(node, 4), frozenset({node}), {}), frozenset({node}))

    def start(self) -> None:
        """Begin anew, alone, and with nobody connected."""
        self.is_up = True
        self.clients.clear()
        self._waiting.clear()
        self._groups = Groups(self.node, self.clients, self._mode, self._rng)
        self.next = None
        self.seq += 4
        self._enter(Ring(RingId(self.node, self.seq), frozenset({self.node}), {}), frozenset({self.node}))

    def stop(self) -> None:
        """Crash. Who was connected is for others to see to."""
        self.is_up = False
        self.ring.is_over = True
        if self.next is not None:
            self.next.is_over = True

    # -- For processes

    def join(self, client: Client) -> None:
        """A process wants in."""
        client.standing = Standing.JOINING
        if client not in self.clients:
            self.clients.append(client)
        self._waiting.append(Item(Kind.JOIN, self.node, client.address))

    def leave(self, client: Client) -> None:
        """A process wants out."""
        client.standing = Standing.LEAVING
        self._waiting.append(Item(Kind.LEAVE, self.node, client.address, reason=Reason.LEAVE))

    def bury(self, client: Client) -> None:
        """A process has died."""
        if client.standing in {Standing.JOINING, Standing.MEMBER}:
            self._waiting.append(Item(Kind.LEAVE, self.node, client.address, reason=Reason.PROCDOWN))

    def send(self, client: Client, frame: bytes) -> None:
        """A process sends."""
        if not (self._mode.drops and self._rng.random() < self._mode.drops):
            self._waiting.append(Item(Kind.FRAME, self.node, client.address, frame))

    # -- On the ring

    @property
    def is_busy(self) -> bool:
        """Whether it is between two rings, or on one that is over."""
        return self.next is not None or self.ring.is_over

    @property
    def has_waiting(self) -> bool:
        """Whether something is to be said."""
        return bool(self._waiting)

    def say(self) -> bool:
        """Put one thing onto the ring; returns whether there was any."""
        if self.is_busy:
            return False
        if not self._has_told:
            self._has_told = True
            item = Item(Kind.BARRIER, self.node, listed=self._groups.own)
        elif self._groups.is_synced and self._waiting:
            item = self._waiting.popleft()
        else:
            return False
        for _ in range(1 + self._is_doubled(item)):
            self.ring.said.append(item)
            self._heard.add(len(self.ring.said) - 1)
        return True

    def _is_doubled(self, item: Item) -> bool:
        share = self._mode.duplicates
        return bool(share) and item.kind is Kind.FRAME and self._rng.random() < share

    def hear(self, *, everything: bool = False) -> bool:
        """Receive some of what others have said, in any order; returns whether there was any."""
        if self.is_busy:
            return False
        missing = [place for place in range(self._place, len(self.ring.said)) if place not in self._heard]
        if not missing:
            return False
        if everything:
            self._heard.update(missing)
        elif self._rng.random() < 0.7:
            self._heard.update(missing[: self._rng.randint(1, 4)])
        else:
            self._heard.add(self._rng.choice(missing))
        return True

    def deliver(self, most: int) -> bool:
        """Tell the processes what comes next; returns whether there was any."""
        did = False
        while most and self._place in self._heard and not self.is_busy:
            self._groups.take(self.ring, self.ring.said[self._place])
            self._place += 1
            most -= 1
            did = True
        return did

    # -- From ring to ring

    def legacy_of(self, others: list[Daemon]) -> Legacy:
        """What is brought along by daemons that were on one ring."""
        heard = frozenset().union(*(other._heard for other in others))
        return Legacy(heard, frozenset(other.node for other in others))

    def move(self) -> None:
        """Finish the old ring and enter the next."""
        assert self.next is not None
        new, old = self.next, self.ring
        heard, along = new.legacies[self.node]
        while self._place in heard:
            self._groups.take(old, old.said[self._place])
            self._place += 1
        for item, missing in self._behind_hole(old, heard, along):
            self._groups.take(old, item, missing)
        self.next = None
        self._enter(new, along)
        if self._mode.loss and self._rng.random() < self._mode.loss:
            self._lose_first(along)

    def _behind_hole(
        self, old: Ring, heard: frozenset[int], along: frozenset[int]
    ) -> Iterator[tuple[Item, frozenset[Address]]]:
        places = [place for place in sorted(heard) if place > self._place and old.said[place].node in along]
        self.holes += bool(places)
        for place in places:
            between = (old.said[one] for one in range(self._place, place) if one not in heard)
            missing = frozenset(item.address for item in between if item.kind is Kind.FRAME)
            if old.said[place].kind is not Kind.BARRIER:
                yield old.said[place], missing

    def _enter(self, ring: Ring, along: frozenset[int]) -> None:
        self.ring = ring
        self._place = 0
        self._heard = set()
        self._has_told = False
        self.seq = max(self.seq, ring.ring_id.seq)
        self._groups.enter(ring, along)

    def _lose_first(self, along: frozenset[int]) -> None:
        """What it says first is lost for who comes from elsewhere: it looks like the rest of something older."""
        count = self._rng.randint(1, 3)
        for item in self._waiting:
            if item.kind is Kind.FRAME or self._mode.loses_joins:
                if item.heard_by is None:
                    item.heard_by = along
                count -= 1
            if not count:
                return
