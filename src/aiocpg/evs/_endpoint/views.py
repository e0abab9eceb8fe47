"""
The view that is installed, and those behind it that could not be installed yet: what may be delivered, and when.

Deciding and delivering are apart. What is decided follows from the stream so far, at the same frame for all members;
how far a member has delivered plays no part in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aiocpg._events import Address
from aiocpg.evs._endpoint.configurations import Numbering
from aiocpg.evs._endpoint.happenings import Delivered, Entry, Happening
from aiocpg.evs._endpoint.view import View
from aiocpg.evs._values import RegularConfiguration
from aiocpg.evs._wire import Triple


class Views:
    """
    The views of one endpoint's life, from the installed one to the newest.

    Args:
        me: The endpoint.
        first: The view of its join.
        numbering: Makes its configurations.
        strict: Let every change wait for FINALs, also where nothing is in doubt.
    """

    def __init__(self, me: Address, first: View, numbering: Numbering, *, strict: bool) -> None:
        self._me = me
        self._strict = strict
        self._views = [first]
        self._numbering = numbering
        self._configuration = numbering.first(first, me)

    @property
    def configuration(self) -> RegularConfiguration:
        """The one that readers are in."""
        return self._configuration

    @property
    def current(self) -> View:
        """The newest, which the frames that come now belong to."""
        return self._views[-1]

    @property
    def installed(self) -> View:
        """The one whose configuration readers are in."""
        return self._views[0]

    def __iter__(self) -> Iterator[View]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def add(self, view: View) -> None:
        """A new one begins."""
        for earlier in self._views:
            earlier.alive &= view.along  # here and not where it is asked for: that is with each frame, for each view
        self._views.append(view)

    def is_in_doubt(self, view: View) -> bool:
        """Whether those who go on have to say what they had of a view that ends."""
        return bool(view.unstable) or self._strict

    # -- What others say

    def acknowledge(self, source: Address, triple: Triple) -> View | None:
        """
        Note what a frame's triple proves of its sender; returns the view that it is of.

        Who speaks in one view has nothing more to say of the ones before it.
        """
        for index, view in enumerate(self._views):
            if view.transition is None and source in view.members and view.has(triple):
                if view.acks.get(source, 0) < triple.number:
                    view.acks[source] = triple.number
                self._pass_by(source, index)
                return view
        return None

    def _pass_by(self, source: Address, index: int) -> None:
        for view in self._views[:index]:
            if view.transition is None and source in view.alive:
                view.finals.setdefault(source, False)

    def vouch(self, source: Address, triple: Triple) -> None:
        """A FINAL: a member says what it had of one view that is over, and it counts if it is what we had."""
        for view in self._views[:-1]:
            if self._awaits(view, source) and view.triple == triple:
                view.finals[source] = True
                view.acks[source] = view.chain.count
                return

    def _awaits(self, view: View, source: Address) -> bool:
        return view.transition is None and source not in view.finals and source in view.alive

    # -- What follows

    def decide(self) -> None:
        """Draw from what was said what follows for each view."""
        for index, view in enumerate(self._views):
            if view.transition is None:
                view.settle()
                if index + 1 < len(self._views):
                    self._decide_transition(index, view)

    def _decide_transition(self, index: int, view: View) -> None:
        alive = view.alive
        if not self.is_in_doubt(view):
            view.transition = self._views[index + 1].along
        elif alive == {self._me}:
            view.transition, view.is_verified = alive, True
        elif all(member in view.finals for member in alive):
            agreeing = {one for one in alive if view.finals[one]}
            view.transition, view.is_verified = frozenset(agreeing | {self._me}), True

    def deliver(self) -> Iterator[Happening]:
        """Hand out what may be delivered now."""
        while True:
            yield from self._deliver_regular()
            if len(self._views) == 1 or self.installed.transition is None:
                return
            yield from self._move_on(self.installed.transition, is_verified=self.installed.is_verified)

    def overtake(self, entry: Entry) -> Iterator[Happening]:
        """UNORDERED messages of the newest view: hand them out, or as soon as it is installed."""
        if len(self._views) == 1:
            yield Delivered(entry, self._configuration)
        else:
            self.current.early.append(entry)

    def close_out(self) -> Iterator[Happening]:
        """It is over: hand out all that is there, for this endpoint alone."""
        alone = frozenset({self._me})
        while self._views:
            yield from self._deliver_regular()
            if len(self._views) > 1:
                yield from self._move_on(alone, is_verified=True)
            else:
                yield from self._end(self._views.pop(), alone, is_verified=True)

    def _deliver_regular(self) -> Iterator[Happening]:
        view = self.installed
        queue = view.queue
        while queue and view.is_deliverable(queue[0]):
            yield Delivered(queue.popleft(), self._configuration)

    def _move_on(self, together: Iterable[Address], *, is_verified: bool) -> Iterator[Happening]:
        old = self._views.pop(0)
        together = frozenset(together)
        yield from self._end(old, together, is_verified=is_verified)
        new = self.installed
        self._configuration = self._numbering.regular(new, together)
        yield self._configuration
        for entry in new.early:
            yield Delivered(entry, self._configuration)
        new.early = []

    def _end(self, old: View, together: frozenset[Address], *, is_verified: bool) -> Iterator[Happening]:
        following = self._views[0] if self._views else None
        transitional = self._numbering.transitional(old, following, together, is_verified=is_verified)
        yield transitional
        while old.queue:
            yield Delivered(old.queue.popleft(), transitional)

    # -- What is waited for

    @property
    def is_held(self) -> bool:
        """Whether something waits for others: messages, or a view."""
        return bool(self.installed.queue) or len(self._views) > 1

    @property
    def awaits_finals(self) -> bool:
        """Whether it waits for last words on a view that is over, and no more for acknowledgements."""
        return len(self._views) > 1

    @property
    def held(self) -> int:
        """Messages that wait."""
        return sum(len(entry.records) for view in self._views for entry in (*view.queue, *view.early))

    @property
    def laggards(self) -> frozenset[Address]:
        """
        Members that the head of the queue waits for.

        We are among them only alone: as long as others are, what we say ourselves may be on its way.
        """
        if not self.is_held:
            return frozenset()
        old = self.installed
        waited_for = frozenset(old.alive - old.finals.keys() if self.awaits_finals else old.unacknowledged)
        return waited_for - {self._me} or waited_for
