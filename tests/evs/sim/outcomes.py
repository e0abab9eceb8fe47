"""S6 and S7: each message once and unaltered, a true outcome for each send, and nothing left over."""

from __future__ import annotations

from collections.abc import Sequence

from aiocpg import Address
from aiocpg.evs._values import Receipt, RegularConfiguration
from evs.sim.history import End, Fate, Got, Life, Sent, Violation
from evs.sim.stays import Stay, deliveries


def check_deliveries(lives: Sequence[Life], all_stays: dict[Address, list[Stay]]) -> None:
    """Nothing is delivered twice at one address, or otherwise than it was sent, or without having been sent."""
    sent = {one.message: (life.me, one.guarantee, one.size, one.crc) for life in lives for one in life.sent}
    seen: set[tuple[Address, int]] = set()
    for stay, got in deliveries(all_stays):
        if (stay.life.me, got.message) in seen:
            raise Violation("S6", f"{stay.life} delivered {got} twice")
        seen.add((stay.life.me, got.message))
        if sent.get(got.message) != (got.sender, got.guarantee, got.size, got.crc):
            raise Violation("S6", f"{stay.life} delivered {got}, sent was {sent.get(got.message)}")


def check_outcomes(lives: Sequence[Life]) -> None:
    """What senders were told is so."""
    where: dict[int, list[str]] = {}
    own: dict[tuple[Address, int], Receipt] = {}
    for life in lives:
        configuration = None
        for event in life.events:
            if not isinstance(event, Got):
                configuration = event
                continue
            where.setdefault(event.message, []).append(str(life))
            if event.sender == life.me and configuration is not None:
                own[life.me, event.message] = Receipt(event.position, configuration)
    crashed = {life.me for life in lives if life.end is End.CRASHED}  # what waited went into a later life
    for life in lives:
        for sent in life.sent:
            if not (sent.outcome is Fate.OPEN and life.me in crashed):
                _check_outcome(life, sent, own.get((life.me, sent.message)), where.get(sent.message, []))


def _check_outcome(life: Life, sent: Sent, own: Receipt | None, where: list[str]) -> None:
    outcome = sent.outcome
    if life.end is End.CRASHED or outcome is Fate.WITHDRAWN:
        return
    if outcome is Fate.OPEN:
        raise Violation("S6", f"{life} was never told what became of {sent}")
    if outcome is Fate.LOST and where:
        raise Violation("S6", f"{life} was told that {sent} is lost, and {where} delivered it")
    if outcome is Fate.UNKNOWN and life.end is End.HERE:
        raise Violation("S6", f"{life} was told that nobody knows of {sent}")
    if isinstance(outcome, Receipt) and outcome != own:
        raise Violation("S6", f"{life} has a receipt {outcome}, and the delivery of {sent} was {own}")


def check_settled(lives: Sequence[Life], all_stays: dict[Address, list[Stay]]) -> None:
    """Who is still there has installed the configuration of all who are."""
    here = tuple(sorted(life.me for life in lives if life.end is End.HERE))
    for life in lives:
        if life.end is not End.HERE:
            continue
        last = next((one for one in reversed(life.events) if not isinstance(one, Got)), None)
        if not isinstance(last, RegularConfiguration):
            raise Violation("S7", f"{life} ends with {last}")
        if last.members != here:
            raise Violation("S7", f"{life} ends in {last}, there are {here}")
