"""
What one instance has read, as its pages show it: members, ring, lines, and how they compare. No I/O, no clock.

Events go in as they stand in the order, frames for the pages come out, and what is to be said to the others. A frame is
``{"type": "state", ...}``, all that changes as a whole, or ``{"type": "entry", ...}``, one more in the list.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import aiocpg

from .comparing import Comparison
from .sayings import Answer, Check, Line, Name, Saying, decoded

Frame: TypeAlias = dict[str, Any]

KEPT = 300
"""Entries that a page begins with."""
REMEMBERED = 10_000
"""Ids of lines: one that comes again within so many is not shown again."""
GONE = 6
"""Members that have gone and are still shown."""
MINUTE = 60
"""Seconds of which the lines are counted."""


@dataclass(frozen=True)
class Outcome:
    """What follows from an event: what the pages are to be told, and what the group is."""

    frames: list[Frame] = field(default_factory=list)
    replies: list[Saying] = field(default_factory=list)


class Board:
    """The state of one instance. Two that have read the same show the same."""

    def __init__(self, name: str, group: str, url: str, *, has_network: bool) -> None:
        self._fixed = {"group": group, "url": url, "network": has_network}
        self._name = name
        self._me: aiocpg.Address | None = None
        self._is_connected = False
        self._members: tuple[aiocpg.Address, ...] = ()
        self._gone: dict[aiocpg.Address, aiocpg.Reason] = {}
        self._names: dict[aiocpg.Address, str] = {}
        self._ring: tuple[str, tuple[int, ...]] = ("", ())
        self._nodes: set[int] = set()
        self._entries: deque[Frame] = deque(maxlen=KEPT)
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._rates: deque[list[int]] = deque(maxlen=MINUTE)
        self._comparison = Comparison()

    # -- What goes in

    def feed(self, event: aiocpg.Event, me: aiocpg.Address, now: float) -> Outcome:
        """
        Take the next event.

        Args:
            event: As the group hands it out.
            me: This member's address.
            now: Seconds of the epoch.
        """
        self._me = me
        match event:
            case aiocpg.View():
                return self._see(event)
            case aiocpg.RingChange(ring_id=ring_id, nodes=nodes):
                self._ring = (str(ring_id), nodes)
                self._nodes.update(nodes)
                return Outcome([self.state()])
            case aiocpg.Message(sender=sender, data=data):
                return self._hear(sender, decoded(data), now)
            case aiocpg.Disconnected(reason=reason):
                self._is_connected = False
                return Outcome([self._enter(kind="gap", reason=reason), self.state()])
        return Outcome()

    def _see(self, view: aiocpg.View) -> Outcome:
        self._is_connected = True
        self._members = view.members
        if self._ring[0] != str(view.ring_id):  # the first view may stand before the first ring
            self._ring = (str(view.ring_id), tuple(sorted({member.nodeid for member in view.members})))
            self._nodes.update(self._ring[1])
        entry = self._enter(
            kind="view",
            ring=str(view.ring_id),
            members=[*map(self._called, view.members)],
            joined=[[self._called(who), why.name] for who, why in view.joined.items()],
            left=[[self._called(who), why.name] for who, why in view.left.items()],
        )
        self._forget(view)
        self._comparison = Comparison()
        return Outcome([entry, self.state()], [Name(self._name)] if view.joined else [])

    def _forget(self, view: aiocpg.View) -> None:
        gone = {who: why for who, why in {**self._gone, **view.left}.items() if who not in view.members}
        self._gone = dict([*gone.items()][-GONE:])
        self._names = {who: name for who, name in self._names.items() if who in view.members or who in self._gone}

    def _hear(self, sender: aiocpg.Address, saying: Saying, now: float) -> Outcome:
        match saying:
            case Line():
                return self._show(sender, saying, now)
            case Name(name=name):
                self._names[sender] = name
                return Outcome([self.state()])
            case Check(token=token):
                answer = self._comparison.begin(token, self._members)
                return Outcome([self.state()], [answer])
            case Answer():
                self._comparison.answer(sender, saying)
                return Outcome([self.state()])

    def _show(self, sender: aiocpg.Address, line: Line, now: float) -> Outcome:
        number = self._comparison.read(f"{sender} {line.id} {line.text}")
        if line.id in self._ids:
            return Outcome()
        if line.id:
            self._ids[line.id] = None
            if len(self._ids) > REMEMBERED:
                self._ids.popitem(last=False)
        self._count(int(now))
        return Outcome([self._enter(kind="line", number=number, name=self._called(sender), text=line.text, at=now)])

    def _count(self, second: int) -> None:
        if not self._rates or self._rates[-1][0] != second:
            self._rates.append([second, 0])
        self._rates[-1][1] += 1

    def _enter(self, **entry: Any) -> Frame:
        frame = {"type": "entry", **entry}
        self._entries.append(frame)
        return frame

    # -- What comes out

    def question(self) -> Check | None:
        """Return what the leader asks now and then, if this is the leader and there is something to compare."""
        leads = self._is_connected and self._members[:1] == (self._me,)
        return self._comparison.question() if leads else None

    def begin(self, now: float) -> Frame:
        """Return what a page begins with; the frames that come after go on from there."""
        return {
            "type": "begin",
            "now": now,
            "rates": [*self._rates],
            "entries": [*self._entries],
            "state": self.state(),
        }

    def state(self) -> Frame:
        """Return all but the list."""
        return {
            "type": "state",
            **self._fixed,
            "me": str(self._me),
            "connected": self._is_connected,
            "ring": {"id": self._ring[0], "nodes": [*self._ring[1]]},
            "nodes": sorted(self._nodes),
            "members": [
                {**self._member(who), "role": "follower" if number else "leader"}
                for number, who in enumerate(self._members)
            ],
            "gone": [{**self._member(who), "reason": why.name} for who, why in self._gone.items()],
            "check": self._comparison.shown(self._called),
        }

    def _member(self, who: aiocpg.Address) -> Frame:
        return {"address": str(who), "node": who.nodeid, "name": self._names.get(who, "")}

    def _called(self, who: aiocpg.Address) -> str:
        return self._names.get(who, str(who))
