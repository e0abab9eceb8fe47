"""
What this process sends into a domain, from the call to the outcome: packed, within the window, each with its ticket.

It outlives the lives of its endpoint: what waits goes out in the next one. No I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from aiocpg._events import Guarantee
from aiocpg.errors import CPGError, MessageLostError
from aiocpg.evs._endpoint import Endpoint, Entry, OwnPiece
from aiocpg.evs._packing import MESSAGE_OVERHEAD, Packed, Packer
from aiocpg.evs._pieces import Pieces
from aiocpg.evs._ticket import Ticket
from aiocpg.evs._values import Configuration
from aiocpg.evs._wire import Record

FRAMES_AT_ONCE = 8
"""Frames that are built before they are sent. An acknowledgement in a frame is as old as the frame."""

PIECES_AT_ONCE = 4
"""Pieces of a large message among them, so that small ones go in between."""

_UNORDERED = int(Guarantee.UNORDERED)


class _Sent:
    """
    A frame that is out.

    Attributes:
        packed: Its messages, and the tickets that are not settled yet.
        pieces: Where it is a piece: of what,
        id: and of which attempt.
    """

    __slots__ = ("id", "packed", "pieces")

    def __init__(self, packed: Packed[Ticket], pieces: Pieces | None = None) -> None:
        self.packed = packed
        self.pieces = pieces
        self.id = pieces.id if pieces is not None else 0

    def take(self, entry: Entry) -> list[Ticket]:
        """Take out the tickets that an entry settles."""
        packed = self.packed
        if entry.records[0][0] == _UNORDERED:
            tickets, packed.unordered = packed.unordered, []
        elif entry.is_safe:
            tickets, packed.safe = packed.safe, []
        else:
            tickets, packed.ordered = packed.ordered, []
        return tickets

    @property
    def is_waiting(self) -> bool:
        """Whether there are any."""
        packed = self.packed
        return bool(packed.ordered or packed.safe or packed.unordered)

    @property
    def tickets(self) -> list[Ticket]:
        """Those that are not settled yet."""
        return [*self.packed.unordered, *self.packed.ordered, *self.packed.safe]


class Outbox:
    """
    What was sent and is not delivered here yet.

    Args:
        domain: The domain's CPG group, which errors name.
        max_frame: Bytes of a frame.
        window: Bytes that may be under way: sent, and not yet delivered to this process's handles.

    Attributes:
        credit: Bytes that may be put in without asking :meth:`has_room`, counted as the window counts them.
        add_record: With the next two, what :meth:`put` does, for where even a call is too much: a message is added,
        add_ticket: then its ticket, and the credit is made less by what it counts.
    """

    def __init__(self, domain: bytes, max_frame: int, window: int) -> None:
        self._domain = domain
        self._window = window
        self._packer: Packer[Ticket] = Packer(max_frame)
        self._large: deque[Pieces] = deque()
        self._aborted: list[tuple[Record, Pieces]] = []
        self._sent: dict[int, _Sent] = {}
        self.add_record, self.add_ticket = self._packer.add_record, self._packer.add_tag
        self._under_way = 0
        self._lent = self.credit = 0
        self._id = 0

    # -- From the application

    @property
    def under_way(self) -> int:
        """Bytes that were put in and are not delivered yet."""
        return self._under_way + self._lent - self.credit

    def lend(self, most: int) -> None:
        """Give a credit of so many bytes, or of what room there is."""
        self._under_way = self.under_way
        self._lent = self.credit = max(0, min(most, self._window - self._under_way))

    @property
    def is_empty(self) -> bool:
        """Whether the outcome of everything is known."""
        return not (self._packer or self._large or self._aborted or self._sent)

    def has_room(self, size: int) -> bool:
        """Whether a message of so many bytes may be put in. One that is larger than the window goes alone."""
        under_way = self.under_way
        return under_way + size + MESSAGE_OVERHEAD <= self._window or not under_way

    def put(self, record: Record) -> Ticket:
        """A message of one frame, for which there is room."""
        ticket = Ticket()
        self.add_record(record)
        self.add_ticket(ticket)
        self._under_way += len(record[3]) + MESSAGE_OVERHEAD
        return ticket

    def put_large(self, pieces: Pieces) -> None:
        """A message in pieces. They go out when there is room, one such message after the other."""
        self._large.append(pieces)

    def withdraw(self, pieces: Pieces) -> None:
        """Nobody wants it sent any more. It must not be whole."""
        if pieces in self._large:
            self._large.remove(pieces)
            if (record := pieces.abort()) is not None:
                self._aborted.append((record, pieces))

    # -- To the endpoint

    def fill(self, endpoint: Endpoint) -> None:
        """Let the endpoint put out what waits, within bounds; to be called again until it has nothing to send."""
        for _ in range(FRAMES_AT_ONCE):
            if not self._packer:
                break
            self._send(endpoint, _Sent(self._packer.take()))
        for record, pieces in self._aborted:
            self._send_piece(endpoint, record, pieces)
        self._aborted.clear()
        if self._large:
            self._fill_large(endpoint, self._large[0])

    def _fill_large(self, endpoint: Endpoint, pieces: Pieces) -> None:
        if pieces.needs_start:
            self._id = self._id % 0xFFFFFFFF + 1
            pieces.start(self._id)
        for _ in range(PIECES_AT_ONCE):
            if pieces.is_out or not self.has_room(0):
                return
            self._send_piece(endpoint, pieces.next(), pieces)

    def _send_piece(self, endpoint: Endpoint, record: Record, pieces: Pieces) -> None:
        """A piece goes alone: that it came back is told of its frame."""
        packed = Packed([record], [pieces.ticket])
        self._under_way += packed.cost
        self.lend(self.credit)  # what others may put in without asking is less by that
        self._send(endpoint, _Sent(packed, pieces))

    def _send(self, endpoint: Endpoint, sent: _Sent) -> None:
        packed = sent.packed
        self._sent[endpoint.send(packed.body(), is_safe=packed.is_safe)] = sent

    @property
    def has_something(self) -> bool:
        """Whether :meth:`fill` would put something out, in the same view."""
        large = self._large[0] if self._large else None
        return bool(self._packer or self._aborted) or (large is not None and not large.is_out and self.has_room(0))

    # -- From the endpoint

    def returned(self, endpoint: Endpoint) -> list[Pieces]:
        """Note what became of frames as such; returns messages in pieces that have come back whole."""
        own = endpoint.own
        for seq in own.lost:
            self._lose(seq, MessageLostError(self._domain))
        for piece in own.pieces:
            self._take_piece(piece)
        whole = [pieces for pieces in self._large if pieces.is_whole]
        for pieces in whole:
            self._large.remove(pieces)
        if self._large and endpoint.views is not None:
            self._large[0].look(endpoint.views.current)
        own.pieces.clear()
        own.lost.clear()
        return whole

    def _take_piece(self, piece: OwnPiece) -> None:
        sent = self._sent.get(piece.seq)
        if sent is None or sent.pieces is None:
            return
        if piece.is_whole:
            # From here on members may hold it as one message, and so it counts as one until it is delivered.
            sent.pieces.is_whole = True
            self._under_way += sent.packed.weigh(sent.pieces.size)
        else:
            sent.pieces.came_back(piece.id, piece.view)
            self._release(piece.seq)

    def delivered(self, entry: Entry, position: int, configuration: Configuration) -> None:
        """Messages of ours were delivered, the first at this position."""
        sent = self._sent.get(entry.seq)
        if sent is None:
            return
        Ticket.settle(sent.take(entry), position, configuration)
        if not sent.is_waiting:
            self._release(entry.seq)

    def end_life(self, error: CPGError | None = None) -> None:
        """
        The endpoint's life is over, and no frame of it comes back any more.

        Args:
            error: What is to be said of messages that are out: that nobody knows. None: that they were lost.
        """
        if error is not None:
            for pieces in [one for one in self._large if one.starts]:
                self._large.remove(pieces)
                pieces.ticket.fail(error.fresh())
        for seq in list(self._sent):
            self._lose(seq, error or MessageLostError(self._domain))

    def end(self, error: CPGError) -> None:
        """Nothing more goes out."""
        self.end_life(error)
        while self._packer:
            _fail(_Sent(self._packer.take()).tickets, error)
        _fail([pieces.ticket for pieces in self._large], error)
        self._large.clear()
        self._aborted.clear()
        self._under_way = self._lent = self.credit = 0

    def _lose(self, seq: int, error: CPGError) -> None:
        sent = self._sent.get(seq)
        if sent is None:
            return
        if sent.pieces is not None:
            sent.pieces.lose(sent.id)  # it goes out again, from the first piece on
        else:
            _fail(sent.tickets, error)
        self._release(seq)

    def _release(self, seq: int) -> None:
        sent = self._sent.pop(seq, None)
        if sent is not None:
            self._under_way -= sent.packed.cost


def _fail(tickets: Iterable[Ticket], error: CPGError) -> None:
    for ticket in tickets:
        ticket.fail(error.fresh())
