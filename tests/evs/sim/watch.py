"""What only shows while a run goes on: S1k, S9, S10 and S11."""

from __future__ import annotations

from collections.abc import Callable

from aiocpg import Address, Guarantee
from aiocpg.evs._endpoint import Delivered, Endpoint
from aiocpg.evs._values import RegularConfiguration
from aiocpg.evs._wire.header import Kind
from evs.sim.clients import Frame, Told
from evs.sim.history import Violation
from evs.sim.messages import Contents, number_of
from evs.sim.modes import Mode


class Watch:
    """
    Knows who has received what.

    Args:
        mode: The run's.
        is_up: Whether the process of an address lives, and no earlier one of that address has died.
        lives: How many endpoints there have been at an address.
    """

    def __init__(self, mode: Mode, is_up: Callable[[Address], bool], lives: Callable[[Address], int]) -> None:
        self._mode = mode
        self._is_up = is_up
        self._lives = lives
        self._contents = Contents()
        self._received: dict[int, set[Address]] = {}
        self._behind_hole: set[tuple[Address, int]] = set()

    def feed(self, me: Address, endpoint: Endpoint, told: Told, feed: Callable[[Told], None]) -> None:
        """Let an endpoint have something, and see what it makes of it."""
        views = endpoint.views
        doubt = self._mode.strict or (views is not None and bool(views.current.unstable))
        spoken = len(endpoint.speaker.frames)
        view = views.current if views else None
        count = view.chain.count if view else 0
        feed(told)
        if not doubt and any(frame[5] == Kind.FINAL for frame in endpoint.speaker.frames[spoken:]):
            raise Violation("S10", f"{me} sent FINAL with nothing in doubt")
        if isinstance(told, Frame) and endpoint.views is not None:
            self._note(me, endpoint, told, count if endpoint.views.current is view else None)

    def _note(self, me: Address, endpoint: Endpoint, frame: Frame, before: int | None) -> None:
        assert endpoint.views is not None
        current = endpoint.views.current
        if current.chain.count == (before or 0):
            return
        for number in self._contents.of(frame.source, frame.data):
            self._received.setdefault(number, set()).add(me)
            if frame.missing & current.members:
                self._behind_hole.add((me, number))

    def deliver(self, me: Address, delivered: Delivered) -> None:
        """An endpoint hands something out."""
        entry, configuration = delivered
        if not (entry.is_safe and isinstance(configuration, RegularConfiguration)):
            return
        for record in entry.records:
            if record[0] == Guarantee.SAFE and not record[2]:
                self._deliver_safe(me, entry.source, number_of(record[3]), configuration)

    def _deliver_safe(self, me: Address, source: Address, number: int, configuration: RegularConfiguration) -> None:
        if (me, number) in self._behind_hole:
            raise Violation("S9", f"{me} delivered {number} in {configuration}, and it is behind a hole")
        for member in configuration.members:
            if member != source and self._is_up(member) and member not in self._received.get(number, ()):
                raise Violation("S1k", f"{me} delivered {number} in {configuration}, {member} has not got it yet")

    def measure(self, me: Address, endpoint: Endpoint) -> None:
        """
        S11: of each life's messages, an endpoint holds no more of one view than that one's window, and one more.

        Behind a view that is not installed yet there may be more, from members that have installed it; that is what
        ``MAX_PENDING_BYTES`` bounds.
        """
        if self._mode.loses_joins:
            return  # what is one view to this one may be several to the sender, and it has a window in each
        for view in list(endpoint.views or ())[:1]:
            held: dict[Address, int] = {}
            for entry in view.queue:
                size = sum(len(record[3]) for record in entry.records)
                held[entry.source] = held.get(entry.source, 0) + size
            for source, size in held.items():
                if size > (self._mode.window + self._mode.largest) * (self._lives(source) or 1):
                    raise Violation("S11", f"{me} holds {size} bytes of {source}")
