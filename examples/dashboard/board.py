"""
What one instance has read, as its pages show it: members, ring, lines, and how they compare. No I/O, no clock.

Events go in as they stand in the order, frames for the pages come out, and what is to be said to the others. A frame is
``{"type": "state", ...}``, all that changes as a whole, or ``{"type": "entry", ...}``, one more in the list.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiocpg

from .comparing import Comparison
from .listing import Frame, Listing, Newcomer
from .sayings import Answer, Ask, Check, History, Line, Name, Saying, decoded

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
        self._list = Listing()
        self._newcomer: Newcomer | None = Newcomer(())
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
                return Outcome([self._list.enter(kind="gap", reason=reason), self.state()])
        return Outcome()

    def _see(self, view: aiocpg.View) -> Outcome:
        self._is_connected = True
        self._members = view.members
        if self._ring[0] != str(view.ring_id):  # the first view may stand before the first ring
            self._ring = (str(view.ring_id), tuple(sorted({member.nodeid for member in view.members})))
            self._nodes.update(self._ring[1])
        entry = self._list.enter(
            kind="view",
            ring=str(view.ring_id),
            members=[*map(self._called, view.members)],
            joined=[[self._called(who), why.name] for who, why in view.joined.items()],
            left=[[self._called(who), why.name] for who, why in view.left.items()],
        )
        self._forget(view)
        self._comparison = Comparison()
        replies: list[Saying] = [Name(self._name)] if view.joined else []
        if self._me in view.joined:
            self._newcomer = Newcomer(view.stayed)
        if self._newcomer and self._newcomer.is_stuck(view.members):
            replies += self._catching_up()
        return Outcome([entry, self.state()], replies)

    def _catching_up(self) -> list[Ask]:
        question = self._newcomer and self._newcomer.question(self._members)
        if question is None:
            self._newcomer = None  # nobody is here who was here before
        return [question] if question else []

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
            case Ask(token=token, who=who):
                return self._tell(token, who)
            case History(token=token):
                return self._learn(saying, now)

    def _show(self, sender: aiocpg.Address, line: Line, now: float) -> Outcome:
        number = self._comparison.read(f"{sender} {line.id} {line.text}")
        if not self._list.is_new(line.id):
            return Outcome()
        self._count(int(now))
        entry = self._list.enter(
            kind="line", number=number, name=self._called(sender), text=line.text, id=line.id, at=now
        )
        return Outcome([entry])

    def _tell(self, token: str, who: str) -> Outcome:
        if self._newcomer is None:
            return Outcome(replies=[self._list.history(token)] if who == str(self._me) else [])
        if token == self._newcomer.token:
            self._list.mark()
        return Outcome()

    def _learn(self, history: History, now: float) -> Outcome:
        if self._newcomer is None or history.token != self._newcomer.token:
            return Outcome()
        self._newcomer = None
        self._list.put_before(history)
        return Outcome([self.begin(now)])

    def _count(self, second: int) -> None:
        if not self._rates or self._rates[-1][0] != second:
            self._rates.append([second, 0])
        self._rates[-1][1] += 1

    # -- What comes out

    @property
    def is_caught_up(self) -> bool:
        """Whether the list is what the others have, so that the instances that know it may be restarted."""
        return self._newcomer is None

    def questions(self) -> Sequence[Saying]:
        """Return what is to be asked now. The clock is the caller's; it looks about once a second."""
        if self._newcomer and self._newcomer.is_tired():
            return self._catching_up()
        leads = self._is_connected and self._members[:1] == (self._me,)
        question = self._comparison.question() if leads else None
        return [question] if question else []

    def begin(self, now: float) -> Frame:
        """Return what a page begins with; the frames that come after go on from there."""
        return {
            "type": "begin",
            "now": now,
            "rates": [*self._rates],
            "entries": [*self._list.entries],
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
