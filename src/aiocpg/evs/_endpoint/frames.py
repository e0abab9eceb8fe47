"""Taking in a frame of a member: counting it, and sorting its messages by when they may be delivered."""

from __future__ import annotations

from operator import itemgetter
from typing import NamedTuple

from aiocpg._events import Address, Guarantee
from aiocpg.evs._endpoint.happenings import Entry
from aiocpg.evs._endpoint.statistics import Counts
from aiocpg.evs._endpoint.view import View
from aiocpg.evs._wire import Header, Record, identity
from aiocpg.evs._wire.meta import chunk_of

_UNORDERED, _SAFE = int(Guarantee.UNORDERED), int(Guarantee.SAFE)

_guarantee, _meta = itemgetter(0), itemgetter(2)


class OwnPiece(NamedTuple):
    """
    A piece that came back.

    Attributes:
        seq: Its frame.
        id: Of which attempt it is.
        view: Where it stands with all pieces before it; None where it does not, and where it was the last one.
        is_whole: Whether it was the last one, and all are together.
    """

    seq: int
    id: int
    view: View | None
    is_whole: bool


class Own:
    """
    What became of our own frames; who looks takes it out.

    Attributes:
        lost: Seqs of frames that the daemon dropped.
        pieces: Frames whose message is a piece of a larger one.
    """

    def __init__(self) -> None:
        self.lost: list[int] = []
        self.pieces: list[OwnPiece] = []


class Taken(NamedTuple):
    """The messages of a frame: those that overtake, those that are only ordered, and from the first SAFE one on."""

    unordered: Entry | None
    ordered: Entry | None
    safe: Entry | None


class Intake:
    """
    Takes in frames.

    Attributes:
        seq: Of the newest frame of ours that has come back.
        own: What became of our own.
    """

    def __init__(self, me: Address, incarnation: int, counts: Counts) -> None:
        self._me = me
        self._incarnation = incarnation
        self._counts = counts
        self.seq = 0
        self.own = Own()

    def count(self, view: View, source: Address, header: Header, frame: bytes) -> bool:
        """Put a frame into the chain of the view; returns False for one that was there before."""
        incarnation, seq = view.seqs.get(source, (0, 0))
        if incarnation == header.incarnation and header.seq <= seq:
            self._counts.dropped["duplicate"] += 1
            return False
        if incarnation == header.incarnation and header.seq > seq + 1:
            self._counts.gaps += 1  # and not by how many, which is its sender's word alone
        view.seqs[source] = header.incarnation, header.seq
        view.chain.add(identity(source, frame))
        if self._is_own(source, header):
            self.own.lost += range(self.seq + 1, header.seq)
            self.seq = header.seq
        return True

    def _is_own(self, source: Address, header: Header) -> bool:
        return source == self._me and header.incarnation == self._incarnation

    def sort(self, view: View, source: Address, header: Header, records: list[Record], *, is_implied: bool) -> Taken:
        """What is to become of a frame's messages."""
        seq = header.seq if self._is_own(source, header) else 0
        has_meta = any(map(_meta, records))
        if has_meta:
            records = self._assemble(view, source, header, records, seq)
        count = view.chain.count
        unordered, ordered, safe = _parts(records)

        def entry(some: list[Record], *, is_safe: bool = False) -> Entry | None:
            if not some:
                return None
            return Entry(count, source, seq, some, is_safe=is_safe, is_implied=is_implied, has_meta=has_meta)

        return Taken(entry(unordered), entry(ordered), entry(safe, is_safe=True))

    def _assemble(self, view: View, source: Address, header: Header, records: list[Record], seq: int) -> list[Record]:
        whole: list[Record] = []
        for record in records:
            guarantee, keys, meta, data = record
            chunk = chunk_of(meta) if meta else None
            if chunk is None:
                whole.append(record)
                continue
            message = view.chunks.take(source, header.incarnation, chunk, data)
            if message is not None:
                whole.append((guarantee, keys, meta, message))
            if seq:
                begun = view if view.chunks.has_begun(source, header.incarnation, chunk) else None
                self.own.pieces.append(OwnPiece(seq, chunk.id, begun, message is not None))
        return whole


def _parts(records: list[Record]) -> tuple[list[Record], list[Record], list[Record]]:
    """Messages that overtake, messages up to the first SAFE one, the rest."""
    guarantees = set(map(_guarantee, records))
    if guarantees.isdisjoint((_UNORDERED, _SAFE)):
        return [], records, []
    unordered = [record for record in records if record[0] == _UNORDERED]
    rest = [record for record in records if record[0] != _UNORDERED] if unordered else records
    first = next((place for place, record in enumerate(rest) if record[0] == _SAFE), len(rest))
    return unordered, rest[:first], rest[first:]
