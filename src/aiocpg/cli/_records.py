"""
What there is to tell, as values: a record for programs and a line for people. Nothing is printed here.

Addresses are text like ``1:4242``, rings text like ``1.4c``, names as :func:`shown_name` has them.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from aiocpg import Address, Message, Reason, RingChange, SlowConsumerError, View

from ._probe import probe_in
from ._text import as_text, shown, shown_name

Record: TypeAlias = dict[str, Any]

Line: TypeAlias = tuple[tuple[str, str], ...]
"""Pieces of text, each with its style as rich names them."""

_FAILURES = frozenset((Reason.PROCDOWN, Reason.NODEDOWN))


class Fact(NamedTuple):
    """One thing to tell."""

    record: Record
    line: Line


def addresses(members: Iterable[Address]) -> list[str]:
    """Members for a record."""
    return [str(member) for member in members]


def of_message(message: Message) -> Fact:
    """A message. Text is ``text``, other bytes are ``base64``, those of ``aiocpg ping`` are ``ping`` or ``pong``."""
    record = {
        "event": "message",
        "group": shown_name(message.group),
        "sender": str(message.sender),
        "position": message.position,
        "view": message.view.number,
        **_content(message.data),
    }
    return Fact(record, ((f"{message.sender} ", "cyan"), *_shown(message.data)))


def _content(data: bytes) -> Record:
    if probe := probe_in(data):
        return {probe.kind: probe.token}
    text = as_text(data)
    return {"base64": b64encode(data).decode()} if text is None else {"text": text}


def _shown(data: bytes) -> Line:
    if probe := probe_in(data):
        return (("pings" if probe.kind == "ping" else "answers the ping", "dim"),)
    return ((shown(data), ""),)


def of_view(view: View, me: Address) -> Fact:
    """A view, as a member sees it that is itself at ``me``."""
    record = {
        "event": "view",
        "group": shown_name(view.group),
        "number": view.number,
        "position": view.position,
        "ring": str(view.ring_id),
        "members": addresses(view.members),
        "joined": _reasons(view.joined),
        "left": _reasons(view.left),
    }
    return Fact(record, _changes(view, me))


def _reasons(changes: Mapping[Address, Reason]) -> dict[str, str]:
    return {str(member): reason.name for member, reason in changes.items()}


def _changes(view: View, me: Address) -> Line:
    """Who went, who came; at our own join who is there, and on a new ring that all stayed its name."""
    if me in view.joined and me not in view.left:
        others = " ".join(addresses(view.stayed)) or "nobody else"
        return (("joined ", "green"), (f"{shown_name(view.group)} as {me}, with {others}", ""))
    gone = [(f"- {who} {why.name}", "bold red" if why in _FAILURES else "yellow") for who, why in view.left.items()]
    come = [(f"+ {who} {why.name}", "green") for who, why in view.joined.items()]
    pieces = gone + come or [(f"= ring {view.ring_id}, all stayed", "dim")]
    return tuple(piece for one in pieces for piece in ((" ", ""), one))[1:]


def of_ring(ring: RingChange) -> Fact:
    """A ring."""
    record = {"event": "ring", "ring": str(ring.ring_id), "nodes": list(ring.nodes)}
    return Fact(record, (("ring ", "green"), (f"{ring.ring_id}, nodes {' '.join(map(str, ring.nodes))}", "")))


def of_gap(error: SlowConsumerError) -> Fact:
    """Events that nobody read in time."""
    record = {"event": "lost", "lost": error.lost}
    return Fact(record, ((f"lost {error.lost} events: what reads this is too slow", "bold red"),))
