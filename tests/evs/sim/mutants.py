"""Endpoints with a fault each. The checker has to notice every one in the mode that is named beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple
from unittest.mock import patch

from aiocpg import Address
from aiocpg.evs._endpoint import Delivered, Endpoint, Entry, Happening, frames
from aiocpg.evs._endpoint.echo import EchoWatch
from aiocpg.evs._endpoint.frames import Intake, Taken
from aiocpg.evs._endpoint.membership import Membership, Step
from aiocpg.evs._endpoint.view import View
from aiocpg.evs._endpoint.views import Views
from aiocpg.evs._outbox import Outbox
from aiocpg.evs._packing import Packed
from aiocpg.evs._pieces import Pieces
from aiocpg.evs._wire import Triple


class Mutant(NamedTuple):
    """A fault: what is replaced, by what, in which mode that shows, and within how many runs."""

    mode: str
    target: Any
    name: str
    replacement: object
    runs: int = 600

    def applied(self) -> AbstractContextManager[object]:
        """The package with the fault, for a time."""
        return patch.object(self.target, self.name, self.replacement)


# -- What is stable


def _with_most(self: View, entry: Entry) -> bool:
    have = sum(self.acks.get(one, 0) >= entry.count or one == entry.source for one in self.members)
    return 2 * have > len(self.members)


def _by_count(self: View, triple: Triple) -> bool:
    return 1 <= triple.number <= self.chain.count


def _by_fingerprint(self: View, triple: Triple) -> bool:
    return triple.fingerprint == self.fingerprint and _by_count(self, triple)


_sort = Intake.sort


def _all_implied(self: Intake, *arguments: Any, is_implied: bool) -> Taken:
    return _sort(self, *arguments, is_implied=True)


def _mixed_not_safe(self: Intake, *arguments: Any, is_implied: bool) -> Taken:
    taken = _sort(self, *arguments, is_implied=is_implied)
    if taken.safe and len(taken.safe.records) > 1:
        taken.safe.is_safe = False
    return taken


_triple = Endpoint._triple


def _own_at_once(self: Endpoint, views: Views) -> Triple:
    triple = _triple(self, views)
    views.current.acks[self._me] = triple.number
    return triple


# -- From view to view


def _trust_all(self: Views, index: int, view: View) -> None:
    view.transition = view.alive & self._views[index + 1].along


_decide = Views._decide_transition


def _trust_rings(self: Views, index: int, view: View) -> None:
    (_trust_all if self._views[index + 1].ring != view.ring else _decide)(self, index, view)


def _believe_all(self: Views, source: Address, triple: Triple) -> None:
    for view in self._views[:-1]:
        if self._awaits(view, source):
            view.finals[source] = True
            return


def _without_me(self: Views, index: int, view: View) -> None:
    _decide(self, index, view)
    if view.transition and not view.finals.get(self._me, True):
        view.transition -= {self._me}


_step = Membership._step


def _returned_is_stayed(self: Membership) -> Step:
    step = _step(self)
    return step._replace(left=step.left - step.members)


def _with_ghosts(self: Membership) -> Step:
    listed = frozenset(self._listed)
    return _step(self)._replace(members=listed)


def _close_with_nothing(self: Views) -> Iterator[Happening]:
    self._views.clear()
    return iter(())


_end = Views._end


def _drop_held(self: Views, old: View, *arguments: Any, **more: Any) -> Iterator[Happening]:
    old.queue.clear()
    return _end(self, old, *arguments, **more)


_add = Views.add


def _keep_pieces(self: Views, view: View) -> None:
    view.chunks = self.current.chunks
    _add(self, view)


_evict = Endpoint._take_eviction


def _never_me(self: Endpoint, views: Views, view: View, source: Address, evict: Any) -> None:
    if evict.address != self._me:
        _evict(self, views, view, source, evict)


# -- Order


def _overtake_all(self: Views, entry: Entry) -> Iterator[Happening]:
    yield Delivered(entry, self._configuration)


def _pass_the_held(self: Views) -> Iterator[Happening]:
    queue = self.installed.queue
    for entry in [one for one in queue if self.installed.is_deliverable(one)]:
        queue.remove(entry)
        yield Delivered(entry, self._configuration)


_count = Intake.count


def _count_twice(self: Intake, view: View, *arguments: Any) -> bool:
    view.seqs.clear()
    return _count(self, view, *arguments)


def _ignore_gaps(self: Intake, *arguments: Any) -> bool:
    is_new = _count(self, *arguments)
    self.own.lost.clear()
    return is_new


# -- Sending


def _anew_in_each_view(self: Pieces, view: object) -> None:
    self._has_failed |= self.__dict__.setdefault("began_in", view) is not view
    self.__dict__["began_in"] = view


_sort_tickets = Packed._sort


def _mix_tickets(self: Packed[Any], tickets: list[Any]) -> None:
    _sort_tickets(self, tickets)
    self.ordered.reverse()


MUTANTS: dict[str, Mutant] = {
    "SAFE without acknowledgements": Mutant("ideal", View, "_is_everywhere", lambda view, entry: True),
    "SAFE with acknowledgements of most": Mutant("usual", View, "_is_everywhere", _with_most),
    "SAFE is not seen behind others in a frame": Mutant("tiny", Intake, "sort", _mixed_not_safe),
    "acknowledgements count, whatever they are of": Mutant("usual", View, "has", _by_count),
    "acknowledgements count, whatever came before": Mutant("lossy", View, "has", _by_fingerprint),
    "the chain does not tell frames apart": Mutant("lossy", frames, "identity", lambda source, frame: b""),
    "a sender has its message, with no proof": Mutant("lost-joins", Intake, "sort", _all_implied),
    "one's own acknowledgement counts before it is sent": Mutant("usual", Endpoint, "_triple", _own_at_once),
    "SAFE is flushed at each change": Mutant("ideal", Views, "_decide_transition", _trust_all),
    "SAFE is flushed when the ring changes": Mutant("usual", Views, "_decide_transition", _trust_rings),
    "every FINAL is believed": Mutant("lossy", Views, "vouch", _believe_all),
    "who does not vouch is waited for": Mutant("lossy", Views, "_pass_by", lambda *arguments: None),
    "who has not vouched goes without itself": Mutant("drops", Views, "_decide_transition", _without_me),
    "who left and came back has stayed": Mutant("ideal", Membership, "_step", _returned_is_stayed),
    "ghosts are members": Mutant("ghosts", Membership, "_step", _with_ghosts),
    "what is held is lost at the end": Mutant("usual", Views, "close_out", _close_with_nothing),
    "what is held is lost at a change": Mutant("usual", Views, "_end", _drop_held),
    "the evicted does not notice": Mutant("usual", Endpoint, "_take_eviction", _never_me),
    "UNORDERED overtakes its configuration": Mutant("usual", Views, "overtake", _overtake_all),
    "AGREED overtakes SAFE": Mutant("usual", Views, "_deliver_regular", _pass_the_held),
    "duplicates are counted": Mutant("strangers", Intake, "count", _count_twice),
    "nobody looks for lost frames of his": Mutant("drops", Intake, "count", _ignore_gaps),
    "nobody asks for his frames": Mutant("drops", EchoWatch, "is_due", lambda *arguments: False),
    "who missed something stays": Mutant("lossy-no-eviction", Endpoint, "_compare", lambda *arguments: None),
    "pieces of two views make a message": Mutant("tiny", Views, "add", _keep_pieces),
    "pieces begin anew at each change": Mutant("tiny", Pieces, "look", _anew_in_each_view),
    "pieces never begin anew": Mutant("tiny", Pieces, "needs_start", property(lambda pieces: not pieces.starts)),
    "large messages do not count": Mutant("tiny", Packed, "weigh", lambda packed, size: 0),
    "the window does not open again": Mutant("usual", Outbox, "_release", lambda *arguments: None),
    "tickets are mixed up": Mutant("usual", Packed, "_sort", _mix_tickets),
}
