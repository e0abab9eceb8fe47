"""A process of the run: an endpoint with its outbox, driven as the package's I/O drives it, and what it records."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from random import Random

from aiocpg import Address, RingChange
from aiocpg.errors import ConnectionClosedError, ConnectionLostError, CPGError
from aiocpg.evs._endpoint import Counts, Delivered, Endpoint, Happening, Numbering, Settings
from aiocpg.evs._endpoint.acks import BULK, Bulk
from aiocpg.evs._outbox import Outbox
from aiocpg.evs._pieces import Pieces
from aiocpg.evs._ticket import Ticket
from aiocpg.evs._values import Configuration, RegularConfiguration, TransitionalConfiguration
from evs.sim.clients import Client, Frame, Standing, Told
from evs.sim.daemon import Daemon
from evs.sim.history import End, Life, Violation
from evs.sim.messages import Sending, content, got
from evs.sim.modes import Mode
from evs.sim.watch import Watch


@dataclass
class Tape:
    """What one endpoint was fed and made of it, to feed another the same (see ``again``)."""

    incarnation: int
    numbering: Numbering
    told: list[Told]
    happenings: list[Happening]
    is_closed_hard: bool = False


class Process(Client):
    """
    A process.

    Attributes:
        lives: What its endpoints recorded, one behind the other.
        tapes: What they were fed.
        endpoint: The endpoint; None while it is out.
        is_stopped: Whether it does not run, as after SIGSTOP.
        has_finished: Whether it left for good.
    """

    def __init__(self, address: Address, daemon: Daemon, mode: Mode, rng: Random, watch: Watch) -> None:
        super().__init__(address)
        self._mode = mode
        self._rng = rng
        self._watch = watch
        self._settings = self._draw_settings()
        self._numbering = Numbering()
        self._position = 0
        self._configuration: Configuration | None = None
        self._back_at: float | None = 0.0
        self._sendings: list[list[Sending]] = []
        self.counts = Counts()
        self.outbox = Outbox(b"sim", mode.max_frame, mode.window)
        self.daemon = daemon
        self.endpoint: Endpoint | None = None
        self.lives: list[Life] = []
        self.tapes: list[Tape] = []
        self.is_stopped = False
        self.has_finished = False
        self._begin()

    def _draw_settings(self) -> Settings:
        return Settings(
            ack_interval=self._rng.choice([0.0, 0.0005, 0.05]),
            stall_timeout=self._rng.choice([0.3, 0.6, 1.0]),
            evict_after=self._rng.choice([None, 0.8, 1.5]) if self._mode.evicts else None,
            strict_views=self._mode.strict,
            crc=self._mode.crc,
            bulk=self._rng.choice([BULK, Bulk(frame=10, before=1, size=200, seconds=0.02)]),
        )

    def _begin(self) -> None:
        incarnation = self._rng.randrange(1, 1 << 32)
        self.tapes.append(Tape(incarnation, copy(self._numbering), [], []))
        self.endpoint = Endpoint(self.address, incarnation, self._settings, self.counts, self._numbering)
        self.lives.append(Life(self.address, incarnation))
        self._sendings.append([])
        self._back_at = None
        self.inbox.clear()
        self.daemon.join(self)

    # -- What its application does

    def send(self, number: int, guarantee: int, size: int, keys: bytes) -> bool:
        """Send a message, if there is room."""
        record = guarantee, keys, b"", content(number, size)
        if not self.outbox.has_room(size):
            return False
        self._sendings[-1].append(Sending(number, guarantee, record[3], self.outbox.put(record)))
        return True

    def send_large(self, number: int, guarantee: int, size: int, keys: bytes) -> None:
        """Send one in pieces."""
        data = content(number, size)
        pieces = Pieces(guarantee, keys, data, self._mode.piece, Ticket())
        self.outbox.put_large(pieces)
        self._sendings[-1].append(Sending(number, guarantee, data, pieces.ticket, pieces))

    def withdraw(self) -> None:
        """Give up on one of those in pieces, if one is under way."""
        under_way = [one for life in self._sendings for one in life if one.pieces and not one.pieces.is_whole]
        open_ = [one for one in under_way if not (one.is_withdrawn or one.ticket.is_settled)]
        if open_:
            sending = self._rng.choice(open_)
            assert sending.pieces is not None
            self.outbox.withdraw(sending.pieces)
            sending.is_withdrawn = True

    def leave(self, *, for_good: bool) -> None:
        """Leave the group."""
        if self.standing is Standing.MEMBER and self.endpoint is not None:
            self.has_finished |= for_good
            self.daemon.leave(self)

    # -- What it does by itself

    @property
    def is_calm(self) -> bool:
        """Whether it wants nothing any more."""
        if not self.is_up:
            return True
        if self.endpoint is None:
            return self._back_at is None
        views = self.endpoint.views
        is_moving = views is None or views.is_held or self.endpoint.must_return or self.inbox
        return not is_moving and self.outbox.is_empty

    @property
    def deadline(self) -> float | None:
        """When it is to be waked at the latest."""
        if not self.is_up or self.is_stopped:
            return None
        return self._back_at if self.endpoint is None else self.endpoint.deadline

    def turn(self, now: float, most: int) -> bool:
        """Read so much of what it was told, and say what is to be said; returns whether it did anything."""
        if not self.is_up or self.is_stopped:
            return False
        if self.endpoint is None:
            return self._come_back(now)
        did = bool(self.inbox) or self.outbox.has_something
        while self.inbox and most:
            told = self._corrupted(self.inbox.popleft())
            self.tapes[-1].told.append(told)
            self._watch.feed(self.address, self.endpoint, told, self._feed)
            most -= 1
        self._finish_batch(self.endpoint, now)
        return did

    def _corrupted(self, told: Told) -> Told:
        share = self._mode.corruption
        if not share or not isinstance(told, Frame) or told.source == self.address or self._rng.random() >= share:
            return told
        data = bytearray(told.data)
        data[self._rng.randrange(len(data))] ^= 1 << self._rng.randrange(8)
        return told._replace(data=bytes(data))

    def _come_back(self, now: float) -> bool:
        if self._back_at is None or now < self._back_at or not self.daemon.is_up:
            return False
        self._begin()
        return True

    def _feed(self, told: Told) -> None:
        assert self.endpoint is not None
        if isinstance(told, Frame):
            self.endpoint.frame(told.source, told.data)
        elif isinstance(told, RingChange):
            self.endpoint.ring(told)
        else:
            self.endpoint.change(told)

    def _finish_batch(self, endpoint: Endpoint, now: float) -> None:
        self.outbox.returned(endpoint)
        endpoint.look(now)
        self._take(endpoint)
        if self.outbox.has_something or endpoint.has_something_to_say:
            self._speak(endpoint, now)
        self._watch.measure(self.address, endpoint)
        if endpoint.is_closed:
            self._end(End.LEFT, None, now)
        elif endpoint.must_return and self.standing is Standing.MEMBER:
            self.daemon.leave(self)

    def _speak(self, endpoint: Endpoint, now: float) -> None:
        """What waits is sent; what is left of a life that has ended is not."""
        is_member = self.standing is Standing.MEMBER
        if is_member and endpoint.may_send:
            self.outbox.fill(endpoint)
        endpoint.speak(now)
        if is_member:
            for frame in endpoint.speaker.frames:
                self.daemon.send(self, frame)
        endpoint.speaker.frames.clear()

    def _take(self, endpoint: Endpoint) -> None:
        events = self.lives[-1].events
        self.tapes[-1].happenings += endpoint.happenings
        for happening in endpoint.happenings:
            if isinstance(happening, Delivered):
                self._deliver(happening)
            elif isinstance(happening, (RegularConfiguration, TransitionalConfiguration)):
                self._configuration = happening
                events.append(happening)
        endpoint.happenings.clear()

    def _deliver(self, delivered: Delivered) -> None:
        entry, configuration = delivered
        if configuration is not self._configuration:
            raise Violation("S8", f"{self.address} delivers in {configuration}, and is in {self._configuration}")
        self._watch.deliver(self.address, delivered)
        first = self._position + 1
        for record in entry.records:
            self._position += 1
            self.lives[-1].events.append(got(entry, record, self._position, configuration))
        self.outbox.delivered(entry, first, configuration)

    # -- Ends

    def _end(self, end: End, error: CPGError | None, now: float) -> None:
        self.lives[-1].end = end
        self.endpoint = None
        self.standing = Standing.OUT
        self.outbox.end_life(error)
        if self.has_finished:
            self.outbox.end(ConnectionClosedError())
        else:
            self._back_at = now + self._rng.uniform(0.05, 0.5)

    def lose(self, now: float) -> None:
        """Its daemon is gone."""
        self.inbox.clear()
        if self.endpoint is not None:
            self.endpoint.close()
            self.tapes[-1].is_closed_hard = True
            self.outbox.returned(self.endpoint)
            self._take(self.endpoint)
            self._end(End.LOST, ConnectionLostError("gone"), now)

    def crash(self) -> None:
        """It is killed."""
        self.is_up = False
        self.inbox.clear()
        if self.endpoint is not None:
            self.lives[-1].end = End.CRASHED
            self.endpoint = None
        else:
            self.outbox.end(ConnectionClosedError())

    def results(self) -> Iterable[Life]:
        """Its lives, complete."""
        for life, sendings in zip(self.lives, self._sendings, strict=True):
            life.sent = [sending.result() for sending in sendings]
            yield life
