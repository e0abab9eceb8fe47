"""S5: an endpoint makes the same of the same stream, whenever it reads and whatever the time is."""

from __future__ import annotations

from aiocpg import Address, RingChange
from aiocpg.evs._endpoint import Counts, Delivered, Endpoint, Happening, Settings
from aiocpg.evs._values import Resumed, Stalled
from evs.sim.clients import Frame
from evs.sim.history import Violation
from evs.sim.modes import Mode
from evs.sim.process import Tape


def check(me: Address, mode: Mode, tape: Tape) -> None:
    """Feed another endpoint the same in one go, without a clock, and compare what comes out."""
    settings = Settings(ack_interval=1e6, stall_timeout=1e6, strict_views=mode.strict)
    endpoint = Endpoint(me, tape.incarnation, settings, Counts(), tape.numbering)
    endpoint.speaker.seq = 1 << 63  # its own frames are news to it, and must not be taken for altered ones
    for told in tape.told:
        if isinstance(told, Frame):
            endpoint.frame(told.source, told.data)
        elif isinstance(told, RingChange):
            endpoint.ring(told)
        else:
            endpoint.change(told)
    if tape.is_closed_hard:
        endpoint.close()
    first, second = _said(tape.happenings), _said(endpoint.happenings)
    if first != second:
        place = next(place for place in range(len(first) + 1) if first[: place + 1] != second[: place + 1])
        text = f"{me} said {first[place : place + 2]} and then {second[place : place + 2]}"
        raise Violation("S5", text)


def _said(happenings: list[Happening]) -> list[object]:
    return [_plain(happening) for happening in happenings if not isinstance(happening, (Stalled, Resumed))]


def _plain(happening: Happening) -> object:
    if not isinstance(happening, Delivered):
        return happening
    entry = happening.entry
    return happening.configuration, entry.count, entry.source, entry.records
