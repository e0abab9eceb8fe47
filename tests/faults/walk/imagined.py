"""
A cluster that keeps every promise, to make histories that the checker must accept. Pure: it has no daemons.

What it delivers, it delivers to all on a ring at once. Rings part and meet by :meth:`Imagined.form`; who meets may miss
the first messages of each node it meets, and may be shown ghosts, as with Corosync.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from aiocpg import Address, Reason, RingId
from faults.walk.records import Content, Delivery, End, History, Receipt, Record, Ring, Seen

PID = 77


class Imagined:
    """
    Nodes, at first all on one ring and each with a member.

    Attributes:
        histories: What the members saw.
    """

    def __init__(self, nodes: int, seed: int = 0) -> None:
        self._rng = random.Random(seed)
        self._seq = 1
        self._alive = set(range(1, nodes + 1))
        self._rings: dict[int, Ring] = {}
        self._lives: dict[int, History] = {}
        self._deaf: dict[tuple[int, int], int] = {}
        self._ghosts: dict[int, Address] = {}
        self.histories: list[History] = []
        self.form([self._alive])
        for node in sorted(self._alive):
            self.join(node)

    @property
    def members(self) -> Sequence[int]:
        """Nodes with a member."""
        return sorted(self._lives)

    @property
    def alive(self) -> Sequence[int]:
        """Nodes with a daemon."""
        return sorted(self._alive)

    @property
    def ended(self) -> Sequence[int]:
        """Nodes whose daemon was killed."""
        return sorted(self._rings.keys() - self._alive)

    def send(self, node: int, *, confirmed: bool = False) -> None:
        """Have the member on a node send a message."""
        life = self._lives[node]
        content = Content(self._rng.randrange(16, 5000), self._rng.getrandbits(32))
        life.sent.append(content)
        life.taken = number = len(life.sent)
        for other in self._on_ring_of(node):
            if self._deaf.get((other, node), 0):
                self._deaf[other, node] -= 1
            else:
                self._deliver(self._lives[other], life, number - 1, content)
        if confirmed:
            life.receipts.append(Receipt(number - 1, _position(life), _view(life)))

    def join(self, node: int) -> None:
        """Have a node's member join."""
        me = Address(node, PID)
        life = History(len(self.histories) + 1, me, records=[self._rings[node]])
        self.histories.append(life)
        self._lives[node] = life
        self._change(node, joined=((me, Reason.JOIN),))

    def leave(self, node: int) -> None:
        """Have a node's member leave in order."""
        self._lives[node].asked = self._lives[node].end = "left"
        self._change(node, left=((self._lives[node].me, Reason.LEAVE),))
        del self._lives[node]

    def close(self, node: int, end: End = "closed") -> None:
        """Have a node's member end without leaving."""
        life = self._lives.pop(node)
        life.end = end
        self._change(node, left=((life.me, Reason.PROCDOWN),))

    def kill(self, node: int) -> None:
        """Have a node's daemon crash; the others on its ring form one without it."""
        if node in self._lives:
            self._lives.pop(node).end = "killed"
        self._ghosts.pop(node, None)
        rest = set(self._rings[node].nodes) - {node}
        self._alive.discard(node)
        self.form([rest] if rest else [])

    def start(self, node: int) -> None:
        """Start a node's daemon again, on a ring of its own."""
        self._alive.add(node)
        self._seq += 4
        self._rings[node] = Ring(RingId(node, self._seq), (node,))

    def form(
        self, sides: Iterable[Collection[int]], deaf: int = 0, ghosts: Mapping[int, int] = MappingProxyType({})
    ) -> None:
        """
        Have each of these sides form a ring.

        Args:
            sides: Their nodes.
            deaf: Who meets another misses so many of its first messages.
            ghosts: Node -> a node of another side, whose member it lists until the next ring.
        """
        self._seq += 4
        haunted = {node: self._lives[other].me for node, other in ghosts.items() if other in self._lives}
        for side in sides:
            ring = Ring(RingId(min(side), self._seq), tuple(sorted(side)))
            before = {node: self._with(node) & set(side) for node in side}
            old = {node: self._with(node) for node in side}
            for node in sorted(side):
                self._rings[node] = ring
                self._deaf |= {(node, other): deaf for other in side if other not in before[node]}
            for node in sorted(side):
                self._arrive(node, set(side) - before[node], old[node], haunted.get(node))

    def _arrive(self, node: int, met: set[int], old: set[int], ghost: Address | None) -> None:
        """Have a node come to its ring; the ghost that it listed goes, rises or is listed again."""
        laid = self._ghosts.pop(node, None)
        if ghost:
            self._ghosts[node] = ghost
        if node in self._lives:
            self._lives[node].records.append(self._rings[node])
            came, gone = dict(_because(Reason.NODEUP, met, self._lives)), self._gone(node, old)
            if laid and laid == ghost:
                del gone[laid]
            elif laid and laid not in came:
                gone[laid] = Reason.PROCDOWN
            came |= {ghost: Reason.NODEUP} if ghost and ghost != laid else {}
            self._see(node, tuple(sorted(came.items())), tuple(gone.items()))

    def _with(self, node: int) -> set[int]:
        ring = self._rings.get(node)
        return {node} if ring is None else set(ring.nodes)

    def _gone(self, node: int, old: set[int]) -> dict[Address, Reason]:
        here = set(self._rings[node].nodes) & old
        return {member: Reason.NODEDOWN for member in _members(self._lives[node]) if member.nodeid not in here}

    def _on_ring_of(self, node: int) -> list[int]:
        return [other for other in self._rings[node].nodes if other in self._lives]

    def _change(self, node: int, **changes: tuple[tuple[Address, Reason], ...]) -> None:
        for other in self._on_ring_of(node):
            self._deaf.pop((other, node), None)  # who hears this, hears what follows
            self._see(other, changes.get("joined", ()), changes.get("left", ()))

    def _see(
        self, node: int, joined: tuple[tuple[Address, Reason], ...], left: tuple[tuple[Address, Reason], ...]
    ) -> None:
        life = self._lives[node]
        went = {address for address, _ in left}
        members = {self._lives[other].me for other in self._on_ring_of(node)} - {
            address for address, reason in left if reason is Reason.LEAVE
        }
        members |= {self._ghosts[node]} if node in self._ghosts else set()
        if joined or went:
            ring_id = self._rings[node].ring_id
            seen = Seen(_view(life) + 1, _position(life), ring_id, tuple(sorted(members)), joined, left)
            life.records.append(seen)

    def _deliver(self, to: History, sender: History, number: int, content: Content) -> None:
        delivery = Delivery(sender.me, sender.incarnation, number, content, _position(to) + 1, _view(to))
        to.records.append(delivery)


def _because(reason: Reason, nodes: Collection[int], lives: dict[int, History]) -> tuple[tuple[Address, Reason], ...]:
    return tuple((lives[node].me, reason) for node in sorted(nodes) if node in lives)


def _members(life: History) -> tuple[Address, ...]:
    return next(record.members for record in reversed(life.records) if isinstance(record, Seen))


def _position(life: History) -> int:
    return sum(isinstance(record, Delivery) for record in life.records)


def _view(life: History) -> int:
    return sum(isinstance(record, Seen) for record in life.records)


def renumbered(records: Iterable[Record]) -> list[Record]:
    """Return records whose positions and view numbers count, whatever they were before."""
    result: list[Record] = []
    position = view = 0
    for record in records:
        if isinstance(record, Delivery):
            position += 1
            result.append(record._replace(position=position, view=view))
        elif isinstance(record, Seen):
            view += 1
            result.append(record._replace(number=view, position=position))
        else:
            result.append(record)
    return result


def wandering(seed: int, steps: int = 40) -> Sequence[History]:
    """Return histories of a random life of the cluster."""
    rng = random.Random(seed)
    world = Imagined(rng.choice((2, 3, 4)), seed)
    for _ in range(steps):
        _step(world, rng)
    world.form([world.alive])
    for _ in range(5):  # more than anybody may miss
        for node in world.members:
            world.send(node)
    return world.histories


def _step(world: Imagined, rng: random.Random) -> None:
    """Do one thing; most often, send."""
    if world.ended and rng.random() < 0.1:
        world.start(rng.choice(world.ended))
    node = rng.choice(world.alive)
    if node not in world.members:
        world.join(node)
        return
    chance = rng.random()
    if chance < 0.8:
        world.send(node, confirmed=rng.random() < 0.2)
    elif chance < 0.88:
        rng.choice((world.leave, world.close))(node)
    elif chance < 0.9 and len(world.alive) > 1:
        world.kill(node)
    elif chance < 0.95:
        cut = [other for other in world.alive if rng.random() < 0.5]
        rest = sorted(set(world.alive) - set(cut))
        ghosts = {rng.choice(cut): rng.choice(rest)} if cut and rest and rng.random() < 0.3 else {}
        world.form([side for side in (cut, rest) if side], ghosts=ghosts)
    else:
        world.form([world.alive], deaf=rng.choice((0, 0, 1, 3)))
