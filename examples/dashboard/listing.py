"""The list of an instance, and how one that comes later gets it from one that was there. No I/O."""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable
from itertools import accumulate
from typing import Any, TypeAlias
from uuid import uuid4

import aiocpg

from .sayings import Ask, History

Frame: TypeAlias = dict[str, Any]

KEPT = 300
"""Entries that a page begins with."""
REMEMBERED = 2000
"""Ids of lines: one that comes again within so many is not shown again."""
MAX_BYTES = 500_000
"""Of the entries that are handed on: half of what a message may have, the ids are in it too."""
PATIENCE = 3
"""Looks until somebody else is asked for the list."""


class Listing:
    """The newest entries, and the ids of lines that were shown."""

    def __init__(self) -> None:
        self.entries: deque[Frame] = deque(maxlen=KEPT)
        self._later: deque[Frame] = deque(maxlen=KEPT)
        self._ids: OrderedDict[str, None] = OrderedDict()

    def enter(self, **entry: Any) -> Frame:
        """Add an entry. Returns it as a frame."""
        frame = {"type": "entry", **entry}
        self.entries.append(frame)
        self._later.append(frame)
        return frame

    def is_new(self, id_: str) -> bool:
        """Whether a line with this id is to be shown; lines without always are."""
        if id_ in self._ids:
            return False
        if id_:
            self._ids[id_] = None
            if len(self._ids) > REMEMBERED:
                self._ids.popitem(last=False)
        return True

    def history(self, token: str) -> History:
        """Return all of it that fits into a message, for one that has asked."""
        sizes = accumulate(len(json.dumps(entry)) for entry in reversed(self.entries))
        count = sum(size <= MAX_BYTES for size in sizes)
        return History(token, [*self.entries][len(self.entries) - count :], [*self._ids])

    def mark(self) -> None:
        """Note that here is the place of the question: what comes from now on is not in the answer."""
        self._later.clear()

    def put_before(self, history: History) -> None:
        """Let the list be what was before the question, and what has come after it."""
        known = set(history.ids)
        later = [entry for entry in self._later if entry.get("id") not in known]
        self.entries = deque([*history.entries, *later], KEPT)
        ids = OrderedDict.fromkeys([*history.ids, *self._ids])
        self._ids = OrderedDict.fromkeys([*ids][-REMEMBERED:])


class Newcomer:
    """
    One that has come and wants the list: it asks those who were there before, one by one, until it has it.

    Its question has a place in the order, and whoever answers does so with the list as it is there. So the answer and
    what the newcomer has read since its question are the whole list, with nothing missing or doubled. It gives up when
    none of those is there any more. Who was there before whom is an order, so no two wait for one another.
    """

    def __init__(self, elders: Iterable[aiocpg.Address]) -> None:
        self._elders = deque(elders)
        self._asked: aiocpg.Address | None = None
        self._looks = 0
        self.token = ""

    def question(self, members: Collection[aiocpg.Address]) -> Ask | None:
        """Return a question to the next of those who are still there; None where nobody is."""
        self._elders = deque(who for who in self._elders if who in members)
        if not self._elders:
            return None
        self._looks, self.token = 0, uuid4().hex[:8]
        self._asked = self._elders[0]
        self._elders.rotate(-1)
        return Ask(self.token, str(self._asked))

    def is_stuck(self, members: Collection[aiocpg.Address]) -> bool:
        """Whether nobody is asked, or one that is not there any more."""
        return self._asked is None or self._asked not in members

    def is_tired(self) -> bool:
        """Look whether an answer is there; whether it has taken too long."""
        self._looks += 1
        return self._looks > PATIENCE
