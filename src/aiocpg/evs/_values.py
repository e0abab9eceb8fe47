"""What readers of a domain get, and what goes into it: groups, deliveries, configurations, receipts. All are frozen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from aiocpg._events import Address, Disconnected, Guarantee, RingId
from aiocpg.errors import GroupNameError

KEY_SIZE = 32
"""Bytes of a group's key (``struct evs_group``)."""


@dataclass(frozen=True, slots=True, order=True)
class EvsGroup:
    """
    A group of a domain: a key of 32 bytes, which are compared as bytes.

    Args:
        key: 1 to 32 bytes, filled up with NULs as a C initializer does; text is encoded in UTF-8.

    Raises:
        GroupNameError: It is empty, or longer.
    """

    key: bytes

    def __init__(self, key: bytes | str) -> None:
        encoded = key.encode() if isinstance(key, str) else bytes(key) if isinstance(key, bytes) else None
        if encoded is None:
            raise GroupNameError(key, "a group of a domain is bytes, text or EvsGroup")
        if not encoded:
            raise GroupNameError(key, "is empty; EvsGroup.exact(bytes(32)) is the key of 32 NULs, if that is meant")
        if len(encoded) > KEY_SIZE:
            raise GroupNameError(key, f"has {len(encoded)} bytes, a group of a domain has at most {KEY_SIZE}")
        object.__setattr__(self, "key", encoded.ljust(KEY_SIZE, b"\0"))

    @classmethod
    def exact(cls, key: bytes) -> EvsGroup:
        """
        The group with this very key.

        Raises:
            GroupNameError: It has not exactly 32 bytes.
        """
        if not isinstance(key, bytes) or len(key) != KEY_SIZE:
            raise GroupNameError(key, f"an exact key is {KEY_SIZE} bytes")
        group = cls.__new__(cls)
        object.__setattr__(group, "key", key)
        return group

    def __str__(self) -> str:
        return self.key.rstrip(b"\0").decode(errors="backslashreplace")

    def __repr__(self) -> str:
        key = self.key.rstrip(b"\0")
        return f"EvsGroup({key!r})" if key else f"EvsGroup.exact(bytes({KEY_SIZE}))"

    def __reduce__(self) -> tuple[object, ...]:
        return EvsGroup.exact, (self.key,)


GroupLike: TypeAlias = bytes | str | EvsGroup
"""How a group may be given."""


def as_groups(groups: Iterable[GroupLike]) -> tuple[EvsGroup, ...]:
    """
    Groups as they were given, as groups.

    Raises:
        TypeError: One bare group was given, or something like bytes, which would be taken for its characters.
        GroupNameError: One cannot be used.
    """
    if isinstance(groups, (str, bytes, bytearray, memoryview, EvsGroup)):
        raise TypeError(f"groups is a list of groups, and {groups!r} is one: put it into brackets")
    return tuple(group if isinstance(group, EvsGroup) else EvsGroup(group) for group in groups)


@dataclass(frozen=True, slots=True)
class RegularConfiguration:
    """
    A configuration in which messages are sent: everybody in :attr:`members` has installed it, or is about to.

    It comes behind a :class:`TransitionalConfiguration`, which says who came along, but for the first one.
    """

    number: int
    """Counts this endpoint's regular configurations, from 1; this process's own."""
    ring_id: RingId
    nodes: tuple[int, ...]
    """The nodes on the ring, sorted: what the old interface called members."""
    nodes_joined: tuple[int, ...]
    """Those that did not come along from the configuration before."""
    members: tuple[Address, ...]
    """The endpoints of the domain, sorted: those of whom SAFE speaks."""
    joined: tuple[Address, ...]
    """Those that did not come along from the configuration before."""


@dataclass(frozen=True, slots=True)
class TransitionalConfiguration:
    """
    What is left of a regular configuration: those who go on together. No message is sent in it.

    What was sent before, and was not known to be with everybody, is delivered in it: a SAFE message here is with every
    one of :attr:`members`, and nobody knows of the others.
    """

    number: int
    """The number of the regular configuration that it ends."""
    ring_id: RingId
    """The ring of that configuration."""
    nodes: tuple[int, ...]
    """Nodes of the old ring that are on the next one, sorted."""
    nodes_left: tuple[int, ...]
    members: tuple[Address, ...]
    """Endpoints that go on together with this one, sorted."""
    left: tuple[Address, ...]
    """Endpoints of the old configuration that do not."""
    verified: bool
    """
    Whether each of the members has said what it had seen of the old configuration, and it was the same. Where nothing
    was in doubt nobody is asked, and this is Corosync's word.
    """


Configuration: TypeAlias = RegularConfiguration | TransitionalConfiguration


class Delivery(NamedTuple):
    """
    A message, once for each handle that has joined one of its groups.

    A named tuple and not a dataclass: one is made for each message, at a quarter of the cost.
    """

    sender: Address
    data: bytes
    groups: tuple[EvsGroup, ...]
    """Those of the message's groups that the handle has joined, sorted."""
    guarantee: Guarantee
    """What the sender asked for."""
    position: int
    """
    Counts what this endpoint delivers since it came into the domain, whatever groups it is for: positions grow, and
    have gaps where messages went to groups that the handle has not joined. This process's own.
    """
    transitional: bool
    """Whether it stands in a transitional configuration."""
    trace: bytes = b""
    """The context of a trace, where the sender gave one: :meth:`Evs.mcast_traced`."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where one's own message was delivered."""

    position: int
    """As :attr:`Delivery.position`; also where no handle here has joined any of its groups."""
    configuration: Configuration
    """
    In which configuration. SAFE in a regular one: every member has it, and delivers it unless it crashes. SAFE in a
    transitional one: every member of that one has.
    """

    @property
    def transitional(self) -> bool:
        """Whether that is a transitional configuration."""
        return isinstance(self.configuration, TransitionalConfiguration)


@dataclass(frozen=True, slots=True)
class Stalled:
    """
    Members do not acknowledge, so SAFE messages and what stands behind them are held. Not in the agreed order.

    A stopped process, a blocked loop, a stopped daemon or a stranger in the domain does this. It comes again where
    others are waited for than it said.
    """

    laggards: tuple[Address, ...]
    """
    Who is waited for, sorted. This endpoint itself only where nobody else is: then what it sends does not come back to
    it, and its own daemon, or the ring, is what stands still.
    """
    since: float
    """Seconds that they are waited for: since something was delivered last, or since a change has them speak anew."""
    held: int
    """Messages that are held here."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """What was held goes on: it comes behind this. Not in the agreed order."""

    since: float
    """Seconds that it was held."""


@dataclass(frozen=True, slots=True)
class Evicted:
    """
    The others have gone on without this endpoint, because it did not answer.

    What it held follows, in the :class:`TransitionalConfiguration` of this endpoint alone, and then the
    :class:`RegularConfiguration` of it alone. It comes back by itself, as a newcomer: that one ends too, and a new
    first :class:`RegularConfiguration` follows. What it missed in between never comes.
    """

    by: Address
    """Whose demand it was."""


@dataclass(frozen=True, slots=True)
class Resync:
    """
    This endpoint has missed what the others had, and comes back as a newcomer, as after :class:`Evicted`.

    Corosync loses the first messages for a node that merges, now and then; the endpoint finds it out.
    """

    reason: str


EvsEvent: TypeAlias = (
    Delivery | RegularConfiguration | TransitionalConfiguration | Stalled | Resumed | Evicted | Resync | Disconnected
)
"""What a handle hands out; :class:`Disconnected` with ``reconnect`` only."""


class Membership(NamedTuple):
    """What ``membership_get`` answers."""

    nodeid: int
    """The node we are on."""
    nodes: tuple[int, ...]
    """The nodes of the newest configuration that was delivered here."""
    members: tuple[Address, ...]
    """The endpoints of it."""
    ring_id: RingId
