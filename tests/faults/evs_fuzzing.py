"""
Frames that no endpoint would send, to the reader of frames, and to endpoints besieged by members and strangers.

Two honest endpoints see one stream, as CPG would show it. Whatever the others in it send, the two count every frame,
under a name, and agree on what they deliver and in which configuration.
"""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from aiocpg import Address, ConfigurationChange, MemberChange, Reason, RingChange, RingId
from aiocpg.evs._endpoint import Counts, Delivered, Endpoint, Numbering, Settings
from aiocpg.evs._endpoint.views import Views
from aiocpg.evs._values import RegularConfiguration, TransitionalConfiguration
from aiocpg.evs._wire import (
    Answer,
    Evict,
    Header,
    MalformedError,
    Query,
    Record,
    Triple,
    encode_ack,
    encode_evict,
    encode_final,
    parse,
)
from aiocpg.evs._wire.header import FLAG_CRC
from aiocpg.evs._wire.meta import ABORTED, Chunk, encode_chunk
from support.evs_frames import body_of, encode_data, item, one_of_each, spoil

WORDS = frozenset(
    {"stranger", "duplicate", "altered", "foreign", "version", "header", "crc", "kind"}
    | {"data", "meta", "ack", "final", "evict"}
)
"""What a dropped frame may be counted as."""

ONE, TWO, LOUD, ODD, STRANGER = (Address(number, 10 * number) for number in range(1, 6))
HONEST, HOSTILE = (ONE, TWO), (LOUD, ODD)


class Parsed(NamedTuple):
    """What came of frames that were only read."""

    frames: int
    good: int
    refused: Counter[str]
    longest: float
    """Seconds of processor time for one frame."""
    rate: float
    """Frames in a second of processor time, the making of them included."""


def fuzz_parse(frames: int, seed: int) -> Parsed:
    """Read so many random and spoilt frames. Raises whatever is no MalformedError."""
    rng = random.Random(seed)
    bases = [
        *one_of_each().values(),
        *one_of_each(Header(7, 9, Triple(1, 2, 3), FLAG_CRC)).values(),
        *(encode_data(Header(7, 9, Triple(1, 2, 3)), [_record(rng) for _ in range(number)]) for number in (1, 5, 50)),
    ]
    refused: Counter[str] = Counter()
    good, longest, begun = 0, 0.0, time.process_time()
    for _ in range(frames):
        frame = rng.randbytes(rng.randrange(200)) if rng.random() < 0.1 else spoil(rng, rng.choice(bases))
        start = time.process_time()
        try:
            parse(frame)
            good += 1
        except MalformedError as error:
            refused[error.what] += 1
        longest = max(longest, time.process_time() - start)
    return Parsed(frames, good, refused, longest, frames / (time.process_time() - begun))


def _record(rng: random.Random) -> Record:
    metas = [b"", b"", item(9, b"x"), encode_chunk(_chunk(rng))]
    return (
        rng.randrange(4),
        rng.choice([b"", b"a" * 32, b"a" * 32 + b"b" * 32]),
        rng.choice(metas),
        rng.randbytes(rng.choice([0, 1, 10, 100])),
    )


def _chunk(rng: random.Random) -> Chunk:
    place = rng.choice([0, 0, 1, 2, ABORTED, rng.getrandbits(32)])
    return Chunk(rng.randrange(3), place, rng.choice([0, 20, 200, 2**30, 2**30 + 1, 2**64 - 1]))


def figures(told: Parsed | Besieged) -> Iterator[tuple[str, float]]:
    """What came of it, one number after the other."""
    for name, value in told._asdict().items():
        yield from value.items() if isinstance(value, Counter) else [(name, value)]


class Besieged(NamedTuple):
    """What came of a siege."""

    frames: int
    taken: int
    dropped: Counter[str]
    delivered: int
    configurations: int
    compared: int
    """Of both, what the two handed out alike while they stood at one place."""
    held: int
    """Messages that one held, at most."""
    lives: int
    rate: float
    """Frames in a second of processor time, for both endpoints, the making of them included."""


class Siege:
    """Two honest endpoints, two members that are not, and a stranger."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._now = 0.0
        self._ring = RingChange(RingId(1, 4), (1, 2, 3, 4))
        self._listed: tuple[Address, ...] = ()
        self._counts = {one: Counts() for one in HONEST}
        self._numbering = {one: Numbering() for one in HONEST}
        self._endpoints: dict[Address, Endpoint] = {}
        self._incarnations = itertools.count(1)
        self._seqs: Counter[Address] = Counter()
        self._fed: Counter[Address] = Counter()
        self._delivered = 0
        self._configurations = 0
        self._compared = 0
        self._held = 0
        self._is_in_step = False
        for one in (*HONEST, *HOSTILE):
            self._join(one)

    def run(self, frames: int) -> Besieged:
        """Let so many hostile frames come. Raises AssertionError, or whatever an endpoint raises."""
        begun = time.process_time()
        for number in range(frames):
            source = self._random.choice((*HOSTILE, *HOSTILE, STRANGER))
            self._all_get(source, self._hostile(source))
            if number % 8 == 0:
                self._end_batch()
            if number % 200 == 0:
                self._change()
        taken, dropped = self._account()
        rate = frames / (time.process_time() - begun)
        more = self._compared, self._held, next(self._incarnations) - 1
        return Besieged(frames, taken, dropped, self._delivered, self._configurations, *more, rate)

    # -- The CPG group

    def _all_get(self, source: Address, frame: bytes) -> None:
        for one in HONEST:
            self._fed[one] += 1
            self._endpoints[one].frame(source, frame)

    def _end_batch(self) -> None:
        self._now += self._random.choice([0.0001, 0.001, 0.3])
        said = []
        for one in HONEST:
            endpoint = self._endpoints[one]
            if endpoint.may_send and self._random.random() < 0.5:
                message = _record(self._random)
                endpoint.send(body_of(message), is_safe=message[0] == 3)
            endpoint.speak(self._now)
            endpoint.look(self._now)
            said += [(one, frame) for frame in endpoint.speaker.frames]
            endpoint.speaker.frames.clear()
        for source, frame in said:
            self._all_get(source, frame)
        self._compare()
        for one in HONEST:
            if self._endpoints[one].must_return:
                self._leave(one)
                self._join(one)

    def _change(self) -> None:
        """Whoever was evicted is back with the next change."""
        one = self._random.choice(HOSTILE)
        self._leave(one)
        self._join(one)
        if self._random.random() < 0.3:
            self._ring = RingChange(RingId(1, self._ring.ring_id.seq + 4), self._ring.nodes)
            for endpoint in self._endpoints.values():
                endpoint.ring(self._ring)

    def _leave(self, one: Address) -> None:
        self._compare()
        self._listed = tuple(other for other in self._listed if other != one)
        self._all_see(ConfigurationChange(b"domain", self._listed, (), (MemberChange(one, Reason.LEAVE),)))
        if one in HONEST:
            self._told(self._endpoints.pop(one))
            self._is_in_step = False

    def _join(self, one: Address) -> None:
        self._listed = tuple(sorted((*self._listed, one)))
        if one in HONEST:
            settings = Settings(evict_after=2.0, crc=self._random.random() < 0.5)
            counts, numbering = self._counts[one], self._numbering[one]
            self._endpoints[one] = Endpoint(one, next(self._incarnations), settings, counts, numbering)
            self._endpoints[one].ring(self._ring)
        self._all_see(ConfigurationChange(b"domain", self._listed, (MemberChange(one, Reason.JOIN),), ()))

    def _all_see(self, change: ConfigurationChange) -> None:
        for endpoint in self._endpoints.values():
            endpoint.change(change)

    # -- What they send

    def _hostile(self, source: Address) -> bytes:
        rng = self._random
        if rng.random() < 0.05:
            return rng.randbytes(rng.randrange(200))
        frame = self._good(source)
        return spoil(rng, frame) if rng.random() < 0.4 else frame

    def _good(self, source: Address) -> bytes:
        rng = self._random
        self._seqs[source] += 1 if rng.random() < 0.99 else rng.choice([0, 2, 1000])
        incarnation = 7 if rng.random() < 0.98 else rng.randrange(1, 2**32)
        seq = max(1, self._seqs[source]) if rng.random() < 0.995 else rng.randrange(1, 2**64)
        header = Header(incarnation, seq, self._triple(), rng.choice([0, 0, FLAG_CRC]))
        kind = rng.random()
        if kind < 0.6:
            return encode_data(header, [_record(rng) for _ in range(rng.choice([1, 1, 3, 10]))])
        if kind < 0.85:
            answers = [Answer(rng.choice(HONEST), rng.randrange(3)) for _ in range(rng.randrange(3))]
            return encode_ack(header, Query(rng.choice([0, 0, 1, rng.getrandbits(32)]), tuple(answers)))
        if kind < 0.99:
            return encode_final(header)
        return encode_evict(header, Evict(rng.choice((*HONEST, *HOSTILE, STRANGER)), rng.getrandbits(32)))

    def _triple(self) -> Triple:
        rng = self._random
        views = self._endpoints[rng.choice(HONEST)].views
        if views is None or rng.random() < 0.2:
            return Triple(rng.getrandbits(32), rng.choice([0, 1, 2**64 - 1]), rng.getrandbits(32))
        triple = rng.choice(list(views)).triple
        return triple if rng.random() < 0.8 else triple._replace(number=rng.randrange(2**64))

    # -- What must hold

    def _compare(self) -> None:
        """Two that are in one view stand at one place of it; if they did before, they have handed out the same."""
        told = [self._told(endpoint) for endpoint in self._endpoints.values()]
        installed = [views.current for views in self._views() if len(views) == 1]
        was_in_step, self._is_in_step = self._is_in_step, False
        if len(installed) == len(HONEST):
            one, two = installed
            self._is_in_step = one.members == two.members
            assert not self._is_in_step or one.triple == two.triple
        if was_in_step and self._is_in_step:
            assert told[0] == told[1]
            self._compared += len(told[0])

    def _views(self) -> list[Views]:
        all_views = [endpoint.views for endpoint in self._endpoints.values() if endpoint.views is not None]
        for views in all_views:
            assert all(view.seqs.keys() <= view.members for view in views)
            self._held = max(self._held, views.held)
        return all_views

    def _told(self, endpoint: Endpoint) -> list[object]:
        told: list[object] = []
        for happening in endpoint.happenings:
            if isinstance(happening, Delivered):
                told.append((happening.entry.source, happening.entry.records))
                self._delivered += len(happening.entry.records)
            elif isinstance(happening, RegularConfiguration | TransitionalConfiguration):
                told.append((type(happening), happening.ring_id, happening.members, happening.nodes))
                self._configurations += 1
        endpoint.happenings.clear()
        return told

    def _account(self) -> tuple[int, Counter[str]]:
        """Every frame is counted, each once, under a known name."""
        taken, dropped = 0, Counter[str]()
        for one in HONEST:
            counts = self._counts[one]
            assert counts.frames.total() + counts.dropped.total() == self._fed[one]
            taken += counts.frames.total()
            dropped += counts.dropped
        assert dropped.keys() <= WORDS
        return taken, dropped
