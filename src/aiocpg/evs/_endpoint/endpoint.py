"""The endpoint: each thing that comes out of the CPG group, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aiocpg._events import Address, ConfigurationChange, RingChange
from aiocpg.evs._endpoint.acks import BULK, AckPace, Bulk
from aiocpg.evs._endpoint.configurations import Numbering
from aiocpg.evs._endpoint.echo import EchoWatch
from aiocpg.evs._endpoint.evictions import Evictions
from aiocpg.evs._endpoint.frames import Intake, Own
from aiocpg.evs._endpoint.happenings import Entry, Happening
from aiocpg.evs._endpoint.membership import Membership, Step
from aiocpg.evs._endpoint.speaker import Speaker
from aiocpg.evs._endpoint.stall import Due, StallWatch
from aiocpg.evs._endpoint.statistics import Counts
from aiocpg.evs._endpoint.view import View
from aiocpg.evs._endpoint.views import Views
from aiocpg.evs._values import Evicted, Resumed, Resync, Stalled
from aiocpg.evs._wire import Body, Evict, Header, MalformedError, Query, Record, Triple, parse
from aiocpg.evs._wire.header import FLAG_CRC, FLAG_STRICT

MAX_PENDING_VIEWS = 64
"""Views that may wait to be installed. Past it the endpoint begins anew,"""

MAX_PENDING_BYTES = 256 * 1024 * 1024
"""or past so many bytes of messages that came while some do: others may have installed them, and go on."""


@dataclass(frozen=True)
class Settings:
    """
    How an endpoint behaves; times in seconds.

    Attributes:
        ack_interval: Least time between two frames that only acknowledge.
        stall_timeout: What is held longer counts as stalled.
        evict_after: A laggard is left out after so long, and after ``stall_timeout`` where it was a short while ago;
            None: never.
        strict_views: Let each change wait until all that go on have vouched for what they had.
        crc: Checksum every frame.
        bulk: What may be acknowledged a little later.
    """

    ack_interval: float = 0.0
    stall_timeout: float = 1.0
    evict_after: float | None = None
    strict_views: bool = False
    crc: bool = False
    bulk: Bulk = BULK

    @property
    def flags(self) -> int:
        """What every frame says of them."""
        return (FLAG_STRICT if self.strict_views else 0) | (FLAG_CRC if self.crc else 0)


class Endpoint:
    """
    One life of an endpoint, from its join to its departure.

    Feed it with what the CPG group says, in its order, and tell it the time; then take ``happenings`` for the readers
    and ``speaker.frames`` for the group, in their order.

    Args:
        me: Its address.
        incarnation: A random number, not 0.
        settings: How it behaves.
        counts: Where it counts.
        numbering: Numbers its configurations; goes on from one life to the next.

    Attributes:
        happenings: What readers are to get.
        speaker: What is to be sent.
        own: What became of our own frames.
        is_closed: Whether it is over.
        must_return: Why it has to leave and come back; empty where it has not.
        disagreeing: The newest member heard that has chosen otherwise for ``strict_views``.
    """

    def __init__(self, me: Address, incarnation: int, settings: Settings, counts: Counts, numbering: Numbering) -> None:
        self._me = me
        self._incarnation = incarnation
        self._settings = settings
        self._counts = counts
        self._numbering = numbering
        self._strict_flag = settings.flags & FLAG_STRICT
        self._membership = Membership(me)
        self._views: Views | None = None
        self._intake = Intake(me, incarnation, counts)
        self._stall = StallWatch(settings.stall_timeout, settings.evict_after)
        self._evictions = Evictions()
        self._echo = EchoWatch(settings.stall_timeout)
        self._pace = AckPace(settings.ack_interval, settings.bulk)
        self._pending_bytes = 0
        self.happenings: list[Happening] = []
        self.speaker = Speaker(incarnation, counts, flags=settings.flags)
        self.own: Own = self._intake.own
        self.is_closed = False
        self._is_evicted = False
        self.must_return = ""
        self.disagreeing: Address | None = None

    @property
    def views(self) -> Views | None:
        """The views at hand; None before the first and behind the last."""
        return self._views

    @property
    def may_send(self) -> bool:
        """Whether messages may be put out."""
        return self._views is not None and not self.must_return

    # -- What comes out of the group

    def change(self, change: ConfigurationChange) -> None:
        """A configuration change."""
        if not self.is_closed:
            self._take_steps(self._membership.change(change))
            if self._membership.is_gone:
                self.close()

    def ring(self, ring: RingChange) -> None:
        """A new ring."""
        if not self.is_closed:
            self._take_steps(self._membership.ring(ring))

    def frame(self, source: Address, frame: bytes) -> None:
        """A message of the CPG group, of whomever."""
        if self.is_closed:
            return
        self._take_steps(self._membership.finish())
        if self._views is None:
            return
        view = self._views.current
        if source not in view.members:
            self._counts.dropped["stranger"] += 1
            return
        try:
            header, body = parse(frame)
        except MalformedError as error:
            self._counts.dropped[error.what] += 1
            return
        if source == self._me and header.incarnation == self._incarnation and header.seq > self.speaker.seq:
            # Memory is bad somewhere. Others may have taken it, and take no later frame of ours.
            self._counts.dropped["altered"] += 1
            self._return("a frame of its own came back altered")
        elif self._intake.count(view, source, header, frame):
            self._counts.frames[_kind(body)] += 1
            if header.flags & FLAG_STRICT != self._strict_flag:
                self._disagree(source)
            self._take_frame(self._views, view, source, header, body)

    def close(self) -> None:
        """The membership is over, by whatever: hand out all that is held, for this endpoint alone."""
        if self.is_closed:
            return
        self.is_closed = True
        if self._views is not None:
            self.happenings += self._views.close_out()
            self._views = None
        if self.must_return and not self._is_evicted:
            self.happenings.append(Resync(self.must_return))

    def _disagree(self, source: Address) -> None:
        """One of us waits at each change for what the other does not say. Nothing follows from it but a warning."""
        self._counts.disagreeing += 1
        self.disagreeing = source

    # -- Views

    def _take_steps(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if self._views is None:
                self._begin(step)
            else:
                self._step(self._views, step)

    def _begin(self, step: Step) -> None:
        first = View(step.members, (), step.ring)
        self._views = Views(self._me, first, self._numbering, strict=self._settings.strict_views)
        self.happenings.append(self._views.configuration)

    def _step(self, views: Views, step: Step) -> None:
        now = views.current
        along = (now.members - step.left) & step.members
        if step.members == now.members == along and step.ring.ring_id == now.ring.ring_id:
            return
        nodes = frozenset(step.ring.nodes).intersection(now.ring.nodes)
        if step.ring.ring_id != now.ring.ring_id:
            nodes -= step.nodes_left - {self._me.nodeid}
        self._switch(views, View(step.members, along, step.ring, nodes))

    def _switch(self, views: Views, new: View) -> None:
        old = views.current
        if new.along - {self._me} and views.is_in_doubt(old):
            self.speaker.final(old.triple)
        views.add(new)
        self._pace.settle()
        if len(views) > MAX_PENDING_VIEWS:
            self._return("too many changes are pending")
        self._pump(views)

    def _pump(self, views: Views) -> None:
        views.decide()
        self.happenings += views.deliver()

    def _return(self, why: str) -> None:
        self.must_return = self.must_return or why

    # -- Frames

    def _take_frame(self, views: Views, view: View, source: Address, header: Header, body: Body) -> None:
        if body is None:
            views.vouch(source, header.triple)
        else:
            proven = views.acknowledge(source, header.triple)
            if proven is None and header.triple.number > 0:
                self._counts.stale += 1
                self._doubt(view, header.triple)
            if isinstance(body, list):
                self._take_data(views, view, source, header, body, is_implied=proven is view)
            elif isinstance(body, Query):
                self._take_query(view, source, header, body)
            else:
                self._take_eviction(views, view, source, body)
        view.chain.forget(view.unstable[0].count if view.unstable else None)
        self._pump(views)

    def _take_data(
        self, views: Views, view: View, source: Address, header: Header, records: list[Record], *, is_implied: bool
    ) -> None:
        taken = self._intake.sort(view, source, header, records, is_implied=is_implied)
        self._look_at_pending(views, records)
        if taken.unordered:
            self.happenings += views.overtake(taken.unordered)
        if taken.ordered:
            view.queue.append(taken.ordered)
        if taken.safe:
            self._take_safe(view, taken.safe)

    def _look_at_pending(self, views: Views, records: list[Record]) -> None:
        if len(views) == 1:
            self._pending_bytes = 0
            return
        self._pending_bytes += sum([len(data) for _, _, _, data in records])
        if self._pending_bytes > MAX_PENDING_BYTES:
            self._return("too much came while changes are pending")

    def _take_safe(self, view: View, entry: Entry) -> None:
        view.queue.append(entry)
        view.unstable.append(entry)
        view.last_safe = entry.count
        if entry.source != self._me or not entry.is_implied:
            size = sum([len(data) for _, _, _, data in entry.records])
            self._pace.owe(size, view.unstable_of(entry.source) - 1)

    def _take_query(self, view: View, source: Address, header: Header, query: Query) -> None:
        if query.token and source == self._me:
            view.request = (query.token, view.chain.count)
        elif query.token:
            self.speaker.owe(source, query.token)
        if source != self._me and source == min(view.members) and (query.token or query.answers):
            self._compare(view, header, query)

    def _doubt(self, view: View, triple: Triple) -> None:
        """
        The triple of a member is not ours: all are asked where they stand, once, and without waiting for a stall.

        Either of us has missed something, or the frame is from an earlier view of the same members on the same ring.
        """
        if view.unstable and triple.fingerprint == view.fingerprint and not view.is_doubted:
            view.is_doubted = True
            self.speaker.ask(view.triple)

    def _compare(self, view: View, header: Header, query: Query) -> None:
        """The member with the lowest address says where it stands. Who contradicts it has missed something."""
        triple = header.triple
        contradicts = triple.fingerprint == view.fingerprint and triple.number > 0 and not view.has(triple)
        if view.request is not None and (self._me, view.request[0]) in query.answers:
            contradicts |= triple.fingerprint != view.fingerprint or triple.number < view.request[1]
        if contradicts and not self.must_return:
            self._counts.divergences += 1
            self._return("it has missed what others had")

    def _take_eviction(self, views: Views, view: View, source: Address, evict: Evict) -> None:
        if evict.address not in view.members:
            return
        self._counts.evictions += 1
        if evict.address == self._me:
            self._is_evicted = True
            self._return("it was evicted")
            self.happenings.append(Evicted(source))  # before what follows from it, which only this endpoint gets
            self._switch(views, View({self._me}, {self._me}, view.ring, view.ring.nodes))
        else:
            self._evictions.note(evict.address)
            rest = view.members - {evict.address}
            self._switch(views, View(rest, rest, view.ring, view.ring.nodes))

    # -- What is to be said

    def send(self, body: bytes, *, is_safe: bool) -> int:
        """
        Put out a frame of messages, with this behind its header; returns its seq.

        The acknowledgement that may be owed rides along.
        """
        assert self._views is not None  # see may_send
        return self.speaker.data(self._triple(self._views), body, is_safe=is_safe)

    def speak(self, now: float) -> None:
        """At the end of a batch, or at a deadline, behind what the application sends: say what is owed."""
        if self._views is None or self.is_closed:
            return
        if self.speaker.owes:
            self.speaker.answer(self._triple(self._views))
            self._pace.say(self._pace.seq, now)
        elif self._owes_ack(self._views.current) and now >= self._pace.due_at:
            self._pace.say(self.speaker.acknowledge(self._triple(self._views)), now)

    @property
    def has_something_to_say(self) -> bool:
        """Whether :meth:`speak` may have something to say, or has said something that was not sent."""
        views = self._views
        return views is not None and bool(self.speaker.frames or self.speaker.owes or self._owes_ack(views.current))

    def _owes_ack(self, view: View) -> bool:
        return self._pace.is_owed and view.last_safe > view.acknowledged and self._intake.seq >= self._pace.seq

    def _triple(self, views: Views) -> Triple:
        view = views.current
        view.acknowledged = view.chain.count
        self._pace.settle()
        return view.triple

    # -- Time

    def look(self, now: float) -> None:
        """At the end of a batch, or at a deadline: see whether what is held moves."""
        views = self._views
        self._pace.look(now)
        stalled_for = self._stall.watch(self._held, views is not None and views.awaits_finals, now)
        if stalled_for is not None:
            self.happenings.insert(0, Resumed(stalled_for))  # before what it has gone on with
        if views is None:
            return
        evicted = self._evictions.recent(now)
        if self._stall.is_time(now):  # asked before, since to find out who is waited for takes a while
            self._look_at_stall(views, now, evicted)
        if self._echo.is_due(self.speaker.seq, self._intake.seq, now):
            self.speaker.probe(self._triple(views))

    def excuse(self, late: float) -> None:
        """Our loop stood still, and a timer came so many seconds late."""
        self._stall.excuse(late)

    def _look_at_stall(self, views: Views, now: float, evicted: frozenset[Address]) -> None:
        due = self._stall.due(views.laggards, now, evicted)
        if Due.TELL in due:
            self._counts.stalls += 1
            self.happenings.append(Stalled(tuple(sorted(views.laggards)), self._stall.since(now), views.held))
        if Due.ASK in due:
            self.speaker.ask(self._triple(views))
        if Due.EVICT in due:
            self._evict(views, evicted)

    @property
    def _held(self) -> object:
        if self._views is None or not self._views.is_held:
            return None
        queue = self._views.installed.queue
        return self._views.configuration.number, queue[0].count if queue else 0

    def _evict(self, views: Views, evicted: frozenset[Address]) -> None:
        candidates = views.laggards & views.current.members - {self._me}
        if candidates:
            self.speaker.evict(self._triple(views), min(candidates & evicted or candidates))

    @property
    def deadline(self) -> float | None:
        """When ``speak`` and ``look`` are to be called at the latest, if nothing comes before."""
        if self._views is not None and self._owes_ack(self._views.current):
            return _first(self._pace.due_at, self.look_at)
        return self.look_at

    @property
    def look_at(self) -> float | None:
        """The same for ``look`` alone, where nothing can be sent at the moment."""
        return _first(self._stall.deadline, self._echo.deadline)


def _first(*deadlines: float | None) -> float | None:
    return min((one for one in deadlines if one is not None), default=None)


def _kind(body: Body) -> str:
    if isinstance(body, list):
        return "data"
    return {Query: "ack", Evict: "evict"}.get(type(body), "final")
