"""One member's lines as the lives that the checker takes, and what can be told of the member at the moment. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from aiocpg import Address
from aiocpg.evs import Configuration, Receipt, RegularConfiguration
from evs.sim.history import End, Fate, Life, Sent, Violation
from faults.evs_walk.lines import Line, configuration, digest, got


class Story:
    """
    What a member has recorded so far.

    Attributes:
        lives: Its lives, in their order.
        lines: All lines.
        configuration: The one it is in.
        last: Sender -> the newest of its ordered messages that came in the present life.
        sent: Messages that it has sent, over all lives.
        open: Messages of which it does not know the outcome yet.
        stalled: Who it was told holds up what it waits for.
        is_parked: Whether it sends nothing by itself.
        is_frozen: Whether it records nothing any more.
        is_over: Whether its present life has ended, and it begins none by itself.
        counts: What happened, and its receipts by outcome.
    """

    def __init__(self) -> None:
        self.lives: list[Life] = []
        self.lines: list[Line] = []
        self.configuration: Configuration | None = None
        self.last: dict[Address, int] = {}
        self.sent = 0
        self.open: dict[int, tuple[Life, int]] = {}
        self.stalled: tuple[Address, ...] = ()
        self.is_parked = False
        self.is_frozen = False
        self.is_over = True
        self.counts: Counter[str] = Counter()
        self._has_lost = False
        self._configurations: dict[tuple[bool, int], Configuration] = {}
        self._early: list[Line] = []
        self._kinds: dict[str, Callable[[Line], None]] = {
            "begin": self._begin,
            "regular": self._regular,
            "transitional": self._transitional,
            "got": self._got,
            "send": self._send,
            "receipt": self._receipt,
            "fate": self._fate,
            "end": self._end,
            "stalled": self._stall,
            "resumed": self._resume,
            "evicted": lambda _: None,
            "resync": lambda _: None,
            "disconnected": lambda _: setattr(self, "_has_lost", True),
            "parked": lambda values: setattr(self, "is_parked", values[0]),
            "statistics": lambda values: self.counts.update(values[0]),
            "frozen": lambda _: setattr(self, "is_frozen", True),
        }

    @property
    def life(self) -> Life | None:
        """The present life, once it has begun."""
        return None if self.is_over or not isinstance(self.configuration, RegularConfiguration) else self.lives[-1]

    def add(self, line: Line) -> None:
        """One more line."""
        if line[0] != "got":  # nearly all are, and one of the others is looked at by people
            self.counts[line[0]] += 1
        self.lines.append(line)
        self._kinds[line[0]](line[1:])

    def crash(self) -> None:
        """Its process was killed."""
        if not self.is_over:
            self._close(End.CRASHED)

    # -- Lives

    def _begin(self, values: Line) -> None:
        self._configurations.clear()
        self._early.clear()
        self._live(Address(*values[0]))

    def _live(self, me: Address) -> None:
        self.lives.append(Life(me, len(self.lives) + 1))
        self.configuration, self.last, self.stalled = None, {}, ()
        self.is_over = self._has_lost = False

    def _close(self, end: End) -> None:
        self.lives[-1].end = end
        self.counts[f"lives {end.value}"] += 1
        self.configuration = None
        self.is_over = True

    def _end(self, values: Line) -> None:
        self._close(End(values[0]))

    def _regular(self, values: Line) -> None:
        new = configuration("regular", values)
        assert isinstance(new, RegularConfiguration)
        life = self.lives[-1]
        if life.events and life.me in new.joined:  # nobody joins what it is in: it has come back
            self._close(End.LOST if self._has_lost else End.LEFT)
            self._live(life.me)
        self._install(new)

    def _transitional(self, values: Line) -> None:
        self._install(configuration("transitional", values))

    def _install(self, new: Configuration) -> None:
        is_transitional = not isinstance(new, RegularConfiguration)
        self._configurations[is_transitional, new.number] = new
        self.configuration = new
        self.lives[-1].events.append(new)
        early, self._early = self._early, []
        for values in early:
            self._receipt(values)

    def _got(self, values: Line) -> None:
        new = got(values)
        self.last[new.sender] = max(new.message, self.last.get(new.sender, 0))
        self.lives[-1].events.append(new)

    def _stall(self, values: Line) -> None:
        self.stalled = tuple(Address(*one) for one in values[0])

    def _resume(self, values: Line) -> None:
        self.stalled = ()
        self.counts["ms held"] += round(values[0] * 1000)

    # -- What it sent

    def _send(self, values: Line) -> None:
        life = self.lives[-1]
        self.open[values[0]] = life, len(life.sent)
        life.sent.append(Sent(*values, Fate.OPEN))
        self.sent += 1

    def _receipt(self, values: Line) -> None:
        number, position, is_transitional, its_number, its_digest = values
        found = self._configurations.get((is_transitional, its_number))
        if found is None:  # who waits for receipts was quicker than who reads
            self._early.append(values)
            return
        if digest(found) != its_digest:
            raise Violation("S6", f"the receipt of {number} names another configuration than was handed out: {found}")
        self._settle(number, Receipt(position, found))
        self.counts["receipt transitional" if is_transitional else "receipt regular"] += 1

    def _fate(self, values: Line) -> None:
        number, fate = values
        self._settle(number, Fate(fate))
        self.counts[f"receipt {fate}"] += 1

    def _settle(self, number: int, outcome: Receipt | Fate) -> None:
        life, place = self.open.pop(number)
        life.sent[place] = life.sent[place]._replace(outcome=outcome)
