"""What an endpoint says: frames in the order in which they are to be sent, each with its seq and its triple."""

from __future__ import annotations

from aiocpg._events import Address
from aiocpg.evs._endpoint.statistics import Counts
from aiocpg.evs._wire import (
    Answer,
    Evict,
    Header,
    Query,
    Triple,
    encode_ack,
    encode_body,
    encode_evict,
    encode_final,
)


class Speaker:
    """
    Builds frames.

    Args:
        incarnation: Its sender's.
        counts: Where they are counted.
        flags: Which all of them have.

    Attributes:
        seq: Of the newest frame.
        frames: What is to be sent, in this order; who sends it takes it out.
        owes: Requests that are to be answered.
    """

    def __init__(self, incarnation: int, counts: Counts, *, flags: int) -> None:
        self._incarnation = incarnation
        self._flags = flags
        self._counts = counts
        self.seq = 0
        self._token = 0
        self.frames: list[bytes] = []
        self.owes: list[Answer] = []

    def data(self, triple: Triple, body: bytes, *, is_safe: bool) -> int:
        """Messages; returns the frame's seq."""
        self._say("data", encode_body(self._header(triple), body, is_safe=is_safe))
        return self.seq

    def acknowledge(self, triple: Triple) -> int:
        """Nothing but the triple; returns the frame's seq."""
        self._say("ack", encode_ack(self._header(triple), Query(0, ())))
        return self.seq

    def probe(self, triple: Triple) -> None:
        """The same, for the only reason that frames of ours do not come back."""
        self._say("probe", encode_ack(self._header(triple), Query(0, ())))

    def ask(self, triple: Triple) -> None:
        """That all say where they stand."""
        self._token = self._token % 0xFFFFFFFF + 1
        self._say("request", encode_ack(self._header(triple), Query(self._token, ())))

    def owe(self, address: Address, token: int) -> None:
        """Somebody has asked; the answer is due with the next frames. Who asks again wants the newest alone."""
        self.owes = [answer for answer in self.owes if answer.address != address]
        self.owes.append(Answer(address, token))

    def answer(self, triple: Triple) -> None:
        """Where we stand, to all who have asked."""
        owed, self.owes = self.owes, []
        self._say("answer", encode_ack(self._header(triple), Query(0, tuple(owed))))

    def final(self, triple: Triple) -> None:
        """The last word on a view."""
        self._say("final", encode_final(self._header(triple)))

    def evict(self, triple: Triple, address: Address) -> None:
        """That somebody be left out."""
        self._say("evict", encode_evict(self._header(triple), Evict(address, 0)))

    def _header(self, triple: Triple) -> Header:
        self.seq += 1
        return Header(self._incarnation, self.seq, triple, self._flags)

    def _say(self, kind: str, frame: bytes) -> None:
        self._counts.sent[kind] += 1
        self.frames.append(frame)
