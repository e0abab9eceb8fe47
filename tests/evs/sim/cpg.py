"""The group at one daemon: who is in it, and what the processes there are told of it. As ``exec/cpg.c`` does it."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from aiocpg import Address, ConfigurationChange, MemberChange, Reason, RingChange, RingId
from evs.sim.clients import Client, Frame, Standing, Told
from evs.sim.modes import Mode
from evs.sim.rings import Item, Kind, Ring


class Groups:
    """
    What one daemon knows of the group.

    Attributes:
        is_synced: Whether all nodes of the ring have said whom they have.
    """

    def __init__(self, node: int, clients: list[Client], mode: Mode, rng: Random) -> None:
        self._node = node
        self._clients = clients
        self._mode = mode
        self._rng = rng
        self._known: set[Address] = set()
        self._synced_nodes: frozenset[int] = frozenset()
        self._ring = RingChange(RingId(0, 0), ())
        self._along: frozenset[int] = frozenset({node})
        self._lists: dict[int, frozenset[Address]] = {}
        self._stale: dict[int, frozenset[Address]] = {}
        self.is_synced = True

    @property
    def own(self) -> frozenset[Address]:
        """The members on this node."""
        return frozenset(address for address in self._known if address.nodeid == self._node)

    def enter(self, ring: Ring, along: frozenset[int]) -> None:
        """A ring begins."""
        if not self.is_synced:
            if self._mode.keeps_lists:
                along &= self._along
            if self._mode.ghosts and self._rng.random() < self._mode.ghosts:
                self._stale |= self._lists
        self._along = along
        self._lists = {}
        self.is_synced = False

    def take(self, ring: Ring, item: Item, missing: frozenset[Address] = frozenset()) -> None:
        """Take the next thing that was said."""
        if item.heard_by is not None and self._node not in item.heard_by:
            return
        if item.kind is Kind.FRAME:
            if any(address.nodeid == item.node for address in self._known):
                self._tell(Frame(item.address, item.frame, missing))
        elif item.kind is Kind.JOIN:
            self._join(item.address)
        elif item.kind is Kind.LEAVE:
            self._leave(item.address, item.reason)
        else:
            self._lists[item.node] = item.listed
            if self._lists.keys() == ring.nodes and not self.is_synced:
                self._synchronise(ring)

    def _tell(self, told: Told) -> None:
        for client in self._clients:
            if client.is_listening:
                client.inbox.append(told)

    def _join(self, address: Address) -> None:
        if address in self._known:
            return
        self._known.add(address)
        joining = [one for one in self._clients if one.standing is Standing.JOINING and one.is_up]
        new = [one for one in joining if one.address == address]
        is_early = self._rng.random() < 0.3  # the change of another group has brought the ring with it
        for client in new:
            client.standing = Standing.MEMBER
            if is_early:
                client.inbox.append(self._ring)
        self._change((), [(address, Reason.JOIN)])
        for client in new:
            if not is_early:
                client.inbox.append(self._ring)

    def _leave(self, address: Address, reason: Reason) -> None:
        self._change([(address, reason)], ())
        for client in self._clients:
            if client.address == address and client.standing is Standing.LEAVING:
                client.standing = Standing.OUT

    def _change(self, left: Iterable[tuple[Address, Reason]], joined: Iterable[tuple[Address, Reason]]) -> None:
        gone = tuple(MemberChange(*change) for change in left)
        come = tuple(MemberChange(*change) for change in joined)
        self._known -= {address for address, _ in gone}
        self._known |= {address for address, _ in come}
        self._tell(ConfigurationChange(b"sim", tuple(sorted(self._known)), come, gone))

    def _synchronise(self, ring: Ring) -> None:
        gone = self._synced_nodes - self._along
        self._synced_nodes = ring.nodes
        if left := [(one, Reason.NODEDOWN) for one in sorted(self._known) if one.nodeid in gone]:
            self._change(left, ())
        lists, self._stale = self._stale | self._lists, {}
        listed = sorted(address for node, there in lists.items() if node != self._node for address in there)
        if joined := [(one, Reason.NODEUP) for one in listed if one not in self._known]:
            self._change((), joined)
        for address in sorted(self._known):
            there = lists.get(address.nodeid)
            if address.nodeid != self._node and there is not None and address not in there:
                self._leave(address, Reason.PROCDOWN)
        self._ring = RingChange(ring.ring_id, tuple(sorted(ring.nodes)))
        for client in self._clients:  # this goes to all connections, also of who has not joined yet
            if client.is_up and client.standing is not Standing.OUT:
                client.inbox.append(self._ring)
        self.is_synced = True
