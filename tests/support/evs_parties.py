"""A few endpoints and the order they all see, for tests of single rules: what is said is put into the order by hand."""

from __future__ import annotations

from collections.abc import Iterable

from aiocpg import Address, ConfigurationChange, Guarantee, MemberChange, Reason, RingChange, RingId
from aiocpg.evs._endpoint import Counts, Delivered, Endpoint, Happening, Numbering, Settings
from aiocpg.evs._packing import Packed
from aiocpg.evs._values import RegularConfiguration, TransitionalConfiguration

ONE, TWO, THREE, FOUR = Address(1, 10), Address(2, 20), Address(3, 30), Address(3, 31)

RING = RingChange(RingId(1, 4), (1, 2, 3))

SAFE, AGREED, FIFO, UNORDERED = Guarantee.SAFE, Guarantee.AGREED, Guarantee.FIFO, Guarantee.UNORDERED


def body(*messages: tuple[Guarantee, bytes]) -> tuple[bytes, bool]:
    """The body of a frame with these messages, and whether some are SAFE."""
    packed = Packed([(guarantee, b"", b"", data) for guarantee, data in messages], [None] * len(messages))
    return packed.body(), packed.is_safe


def change(
    members: Iterable[Address],
    joined: Iterable[tuple[Address, Reason]] = (),
    left: Iterable[tuple[Address, Reason]] = (),
) -> ConfigurationChange:
    """A change as CPG reports it."""
    came, went = (tuple(MemberChange(*one) for one in some) for some in (joined, left))
    return ConfigurationChange(b"domain", tuple(sorted(members)), came, went)


def said(happenings: Iterable[Happening]) -> list[str]:
    """
    Happenings in short: ``+1:10 2:20`` for a regular configuration, ``-1:10`` for a transitional one, ``=1:10`` where
    that is verified; a message as it is; anything else by its name.
    """
    lines: list[str] = []
    for happening in happenings:
        if isinstance(happening, Delivered):
            lines += [record[3].decode() for record in happening.entry.records]
        elif isinstance(happening, RegularConfiguration):
            lines.append("+" + " ".join(map(str, happening.members)))
        elif isinstance(happening, TransitionalConfiguration):
            lines.append("-="[happening.verified] + " ".join(map(str, happening.members)))
        else:
            lines.append(type(happening).__name__)
    return lines


class Party:
    """
    Endpoints that have come together on one ring, and read that already.

    Args:
        addresses: Theirs, in the order of their joins.
        settings: How they behave.
    """

    def __init__(self, *addresses: Address, settings: Settings | None = None) -> None:
        self._settings = settings or Settings(stall_timeout=1.0)
        self.counts: dict[Address, Counts] = {}
        self.endpoints: dict[Address, Endpoint] = {}
        self.now = 0.0
        for address in addresses:
            self.join(address)
            self.heard()

    def __getitem__(self, address: Address) -> Endpoint:
        return self.endpoints[address]

    def join(self, address: Address, incarnation: int = 0) -> None:
        """Let one more in, or one that comes back."""
        counts = self.counts[address] = Counts()
        one = Endpoint(address, incarnation or 1000 + address.pid, self._settings, counts, Numbering())
        one.ring(RING)
        self.endpoints[address] = one
        self.change(self.endpoints, joined=[(address, Reason.JOIN)])

    def leave(self, address: Address, reason: Reason = Reason.LEAVE) -> None:
        """Let one go; it is told so itself."""
        rest = [one for one in self.endpoints if one != address]
        self.change(rest, left=[(address, reason)])
        del self.endpoints[address]

    def change(
        self,
        members: Iterable[Address],
        joined: Iterable[tuple[Address, Reason]] = (),
        left: Iterable[tuple[Address, Reason]] = (),
        to: Iterable[Address] = (),
    ) -> None:
        """Report a change, to all if nobody is named."""
        for address in list(to) or list(self.endpoints):
            self[address].change(change(members, joined, left))

    def ring(self, ring: RingChange, to: Iterable[Address] = ()) -> None:
        """Report a ring, to all if nobody is named."""
        for address in list(to) or list(self.endpoints):
            self[address].ring(ring)

    def send(self, address: Address, *messages: tuple[Guarantee, bytes]) -> list[bytes]:
        """Let one send a frame; returns all that it has to send now."""
        data, is_safe = body(*messages)
        self[address].send(data, is_safe=is_safe)
        return self.take(address)

    def take(self, address: Address) -> list[bytes]:
        """What one has to say by now."""
        one = self[address]
        one.speak(self.now)
        frames, one.speaker.frames = one.speaker.frames, []
        return frames

    def order(self, address: Address, frames: Iterable[bytes], to: Iterable[Address] = ()) -> None:
        """Put frames of one into the order; all hear them if nobody is named."""
        for frame in frames:
            for hearer in list(to) or list(self.endpoints):
                self[hearer].frame(address, frame)

    def say(self, address: Address, *messages: tuple[Guarantee, bytes], to: Iterable[Address] = ()) -> None:
        """Let one send a frame, and put it into the order."""
        self.order(address, self.send(address, *messages), to)

    def talk(self) -> None:
        """Let all say what they have to, until they have nothing left."""
        while sum(self._talk(address) for address in list(self.endpoints)):
            pass

    def _talk(self, address: Address) -> bool:
        frames = self.take(address)
        self.order(address, frames)
        return bool(frames)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        for one in self.endpoints.values():
            one.look(self.now)

    def heard(self) -> dict[Address, list[str]]:
        """What each has handed out since it was asked last, in short."""
        result = {}
        for address, one in self.endpoints.items():
            result[address] = said(one.happenings)
            one.happenings.clear()
        return result


def missing_one(party: Party) -> None:
    """Let THREE miss a frame of ONE."""
    party.say(ONE, (AGREED, b"lost"), to=[ONE, TWO])
    party.say(ONE, (SAFE, b"a"))
    party.talk()


def evict(party: Party, who: Address, by: Address = ONE) -> None:
    """Let one demand that another go."""
    party[by].speaker.evict(party[by]._triple(party[by].views), who)  # type: ignore[arg-type]
    party.order(by, party.take(by))
