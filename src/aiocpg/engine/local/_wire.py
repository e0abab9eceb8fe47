"""
What a client and the broker of ``local://`` say to each other, as bytes. No I/O.

A stream of frames, little-endian: the length of the body in 4 bytes, the kind in 1, the body. Each socket begins with a
HELLO, which the broker answers by WELCOME and the ring, or by REFUSED. A socket is either a connection, which asks, or
one join of one group, which gets RING, CHANGE and MESSAGE in the group's order until its own departure. Nothing is
trusted: a length above the limit of its kind, an unknown kind, or a body that does not fit is a :class:`WireError`.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aiocpg._events import Address, ConfigurationChange, MemberChange, Reason, RingChange, RingId
from aiocpg._names import MAX_NAME_LENGTH
from aiocpg._state.history import Record
from aiocpg.engine._sequencer import MAX_NATIVE_SIZE

VERSION = 1
"""Of the protocol. A broker refuses clients of another one."""

_MAGIC = b"aiocpg"
_HEADER = struct.Struct("<IB")
_HELLO = struct.Struct("<6sHBI")
_WELCOME = struct.Struct("<HII")
_ADDRESS = struct.Struct("<II")
_ENTRY = struct.Struct("<IIB")
_COUNTS = struct.Struct("<HHH")
_RING = struct.Struct("<IQH")
_COUNT = struct.Struct("<H")
_TOKEN = struct.Struct("<I")

HEADER_SIZE = _HEADER.size


class WireError(Exception):
    """The other side does not speak the protocol."""


class Kind(enum.IntEnum):
    """The kinds of frames: up to 63 what clients send, from 64 what the broker sends."""

    HELLO = 1
    MCAST = 2
    LEAVE = 3
    ASK_MEMBERS = 4
    ASK_GROUPS = 5
    PING = 6
    WELCOME = 64
    REFUSED = 65
    MESSAGE = 66
    CHANGE = 67
    RING = 68
    MEMBERS = 69
    GROUPS = 70
    PONG = 71
    BYE = 72


_TEXT = 1024
_LISTS = 4 * 1024 * 1024

CLIENT_LIMITS: Mapping[int, int] = {
    Kind.HELLO: _HELLO.size + MAX_NAME_LENGTH,
    Kind.MCAST: MAX_NATIVE_SIZE,
    Kind.LEAVE: 0,
    Kind.ASK_MEMBERS: _TOKEN.size + MAX_NAME_LENGTH,
    Kind.ASK_GROUPS: _TOKEN.size,
    Kind.PING: _TOKEN.size,
}
"""Bytes that the bodies of a client's frames may have."""

STRANGER_LIMITS: Mapping[int, int] = {Kind.HELLO: CLIENT_LIMITS[Kind.HELLO]}
"""Likewise before it has introduced itself."""

BROKER_LIMITS: Mapping[int, int] = {
    Kind.WELCOME: _WELCOME.size,
    Kind.REFUSED: 1 + _TEXT,
    Kind.MESSAGE: _ADDRESS.size + MAX_NATIVE_SIZE,
    Kind.CHANGE: _LISTS,
    Kind.RING: _RING.size + 4,
    Kind.MEMBERS: _LISTS,
    Kind.GROUPS: _LISTS,
    Kind.PONG: _TOKEN.size,
    Kind.BYE: _TEXT,
}
"""Likewise of the broker's."""


class Refusal(enum.IntEnum):
    """Why a HELLO is refused."""

    ALREADY_JOINED = 1
    VERSION = 2
    FULL = 3
    MALFORMED = 4


class Hello(NamedTuple):
    """How a client introduces itself: as a connection, or, with a group, as one who joins."""

    pid: int
    group: bytes = b""
    version: int = VERSION


class Welcome(NamedTuple):
    """The broker's first answer."""

    nodeid: int
    max_message_size: int
    version: int = VERSION


def frame(kind: Kind, body: bytes = b"") -> bytes:
    """One frame."""
    return _HEADER.pack(len(body), kind) + body


class Frames:
    """
    Takes bytes as they come and gives whole frames.

    Args:
        limits: The kinds that may come, and the bytes that their bodies may have.

    Attributes:
        limits: The same, for what comes next.
    """

    def __init__(self, limits: Mapping[int, int]) -> None:
        self.limits = limits
        self._buffer = bytearray()
        self._read = 0

    def feed(self, data: bytes) -> None:
        """Add what came."""
        if self._read:
            del self._buffer[: self._read]
            self._read = 0
        self._buffer += data

    def __len__(self) -> int:
        """Bytes that are kept."""
        return len(self._buffer) - self._read

    @property
    def has_next(self) -> bool:
        """Whether :meth:`next` gives a frame, or complains of one."""
        size = self._size()
        return size is not None and len(self) >= size

    def next(self) -> tuple[int, bytes] | None:
        """
        The next frame as (kind, body); None when it is not all there.

        Raises:
            WireError: The kind is unknown here or the body too long. It shows with the header already.
        """
        size = self._size()
        if size is None or len(self) < size:
            return None
        length, kind = _HEADER.unpack_from(self._buffer, self._read)
        if length > self.limits.get(kind, -1):
            raise WireError(f"a frame of kind {kind} with {length} bytes")
        start = self._read + HEADER_SIZE
        self._read += size
        return kind, bytes(memoryview(self._buffer)[start : start + length])

    def _size(self) -> int | None:
        """Bytes of the next frame; of one that may not be, those of its header; None before the header is there."""
        if len(self) < HEADER_SIZE:
            return None
        length, kind = _HEADER.unpack_from(self._buffer, self._read)
        return HEADER_SIZE + (length if length <= self.limits.get(kind, -1) else 0)


# -- What clients send


def hello(who: Hello) -> bytes:
    """HELLO as a frame."""
    return frame(Kind.HELLO, _HELLO.pack(_MAGIC, who.version, bool(who.group), who.pid) + who.group)


def read_hello(body: bytes) -> Hello:
    """
    HELLO from a body. Of another version only that is read.

    Raises:
        WireError: It is none.
    """
    magic, version, joins, pid = _unpack(_HELLO, body)
    group = body[_HELLO.size :]
    if magic != _MAGIC:
        raise WireError("a HELLO without its beginning")
    if version == VERSION and (joins != bool(group) or not pid or len(group) > MAX_NAME_LENGTH):
        raise WireError("a HELLO that contradicts itself")
    return Hello(pid, group, version)


def mcast(data: bytes) -> bytes:
    """MCAST as a frame."""
    return frame(Kind.MCAST, data)


def mcast_header(size: int) -> bytes:
    """What stands before so many bytes of payload to make them an MCAST; a large one need not be copied then."""
    return _HEADER.pack(size, Kind.MCAST)


def ask(kind: Kind, token: int, group: bytes = b"") -> bytes:
    """A question as a frame; the answer comes back with its token."""
    return frame(kind, _TOKEN.pack(token) + group)


def read_token(body: bytes) -> tuple[int, bytes]:
    """The token of a question or an answer, and what follows it. Raises WireError."""
    (token,) = _unpack(_TOKEN, body)
    return token, body[_TOKEN.size :]


# -- What the broker sends


def welcome(answer: Welcome) -> bytes:
    """WELCOME as a frame."""
    return frame(Kind.WELCOME, _WELCOME.pack(answer.version, answer.nodeid, answer.max_message_size))


def read_welcome(body: bytes) -> Welcome:
    """WELCOME from a body. Raises WireError."""
    version, nodeid, max_message_size = _unpack(_WELCOME, body, exactly=True)
    return Welcome(nodeid, max_message_size, version)


def refused(why: Refusal, text: str) -> bytes:
    """REFUSED as a frame."""
    return frame(Kind.REFUSED, bytes([why]) + text.encode()[:_TEXT])


def read_refused(body: bytes) -> tuple[int, str]:
    """REFUSED from a body: the number of a :class:`Refusal`, perhaps of a newer broker, and a text."""
    if not body:
        raise WireError("a REFUSED without a reason")
    return body[0], body[1:].decode(errors="replace")


def bye(text: str) -> bytes:
    """BYE as a frame: the broker ends this socket, for this reason."""
    return frame(Kind.BYE, text.encode()[:_TEXT])


def read_bye(body: bytes) -> str:
    """BYE from a body."""
    return body.decode(errors="replace")


def record(of: Record) -> bytes:
    """What a member gets, as a frame."""
    if isinstance(of, tuple):
        return frame(Kind.MESSAGE, _ADDRESS.pack(*of[0]) + of[1])
    if isinstance(of, RingChange):
        return frame(Kind.RING, _RING.pack(*of.ring_id, len(of.nodes)) + struct.pack(f"<{len(of.nodes)}I", *of.nodes))
    counts = _COUNTS.pack(len(of.members), len(of.joined), len(of.left))
    entries = (_ENTRY.pack(*entry.address, entry.reason) for entry in (*of.joined, *of.left))
    return frame(Kind.CHANGE, counts + _addresses(of.members) + b"".join(entries))


def read_record(kind: int, body: bytes, group: bytes) -> Record:
    """A member's record from a frame. Raises WireError."""
    if kind == Kind.MESSAGE:
        nodeid, pid = _unpack(_ADDRESS, body)
        return Address(nodeid, pid), body[_ADDRESS.size :]
    if kind == Kind.RING:
        return read_ring(body)
    if kind == Kind.CHANGE:
        return _read_change(body, group)
    raise WireError(f"a frame of kind {kind}, which is no record")


def read_ring(body: bytes) -> RingChange:
    """RING from a body. Raises WireError."""
    nodeid, seq, count = _unpack(_RING, body)
    nodes = _unpack(struct.Struct(f"<{count}I"), body[_RING.size :], exactly=True)
    return RingChange(RingId(nodeid, seq), nodes)


def _read_change(body: bytes, group: bytes) -> ConfigurationChange:
    members, joined, left = _unpack(_COUNTS, body)
    ends = _COUNTS.size + members * _ADDRESS.size
    if len(body) != ends + (joined + left) * _ENTRY.size:
        raise WireError("a CHANGE with counts that do not fit")
    try:
        entries = [
            MemberChange(Address(nodeid, pid), Reason(reason))
            for nodeid, pid, reason in _ENTRY.iter_unpack(body[ends:])
        ]
    except ValueError as error:
        raise WireError(f"a CHANGE with an unknown reason: {error}") from None
    listed = _read_addresses(body[_COUNTS.size : ends])
    return ConfigurationChange(group, listed, tuple(entries[:joined]), tuple(entries[joined:]))


def members(token: int, addresses: Iterable[Address]) -> bytes:
    """MEMBERS as a frame."""
    return frame(Kind.MEMBERS, _TOKEN.pack(token) + _addresses(addresses))


def read_members(body: bytes) -> tuple[Address, ...]:
    """MEMBERS from what follows the token. Raises WireError."""
    if len(body) % _ADDRESS.size:
        raise WireError("a MEMBERS with half a member")
    return _read_addresses(body)


def groups(token: int, listing: Mapping[bytes, Sequence[Address]]) -> bytes:
    """GROUPS as a frame."""
    entries = (
        bytes([len(name)]) + name + _COUNT.pack(len(addresses)) + _addresses(addresses)
        for name, addresses in listing.items()
    )
    return frame(Kind.GROUPS, _TOKEN.pack(token) + b"".join(entries))


def read_groups(body: bytes) -> dict[bytes, tuple[Address, ...]]:
    """GROUPS from what follows the token. Raises WireError."""
    return dict(_read_groups(body))


def _read_groups(body: bytes) -> Iterator[tuple[bytes, tuple[Address, ...]]]:
    while body:
        name, rest = body[1 : 1 + body[0]], body[1 + body[0] :]
        (count,) = _unpack(_COUNT, rest)
        end = _COUNT.size + count * _ADDRESS.size
        if len(rest) < end:
            raise WireError("a GROUPS that ends in the middle")
        yield name, _read_addresses(rest[_COUNT.size : end])
        body = rest[end:]


def pong(token: int) -> bytes:
    """PONG as a frame."""
    return frame(Kind.PONG, _TOKEN.pack(token))


# -- The parts


def _addresses(addresses: Iterable[Address]) -> bytes:
    return b"".join(_ADDRESS.pack(*address) for address in addresses)


def _read_addresses(body: bytes) -> tuple[Address, ...]:
    return tuple(Address(nodeid, pid) for nodeid, pid in _ADDRESS.iter_unpack(body))


def _unpack(layout: struct.Struct, body: bytes, *, exactly: bool = False) -> tuple[Any, ...]:
    if len(body) < layout.size or (exactly and len(body) != layout.size):
        raise WireError(f"a body of {len(body)} bytes where {layout.size} belong")
    return layout.unpack_from(body)
