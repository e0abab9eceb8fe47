"""What members record: lists that are lines of JSON, in the order of what happened. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeAlias

from aiocpg import Address, Disconnected, RingId
from aiocpg.evs import (
    Configuration,
    Delivery,
    Evicted,
    EvsEvent,
    Receipt,
    RegularConfiguration,
    Resumed,
    Resync,
    Stalled,
    TransitionalConfiguration,
)
from evs.sim.history import Got
from faults.evs_walk.messages import measure

Line: TypeAlias = list[Any]
"""The kind of the line, and its values."""

Write: TypeAlias = Callable[[Line], None]


def line(event: EvsEvent) -> Line:  # noqa: PLR0911 - one for each kind
    """An event as a line."""
    match event:
        case Delivery(sender, data, _, guarantee, position, transitional):
            number, size, crc = measure(data)
            return ["got", number, list(sender), int(guarantee), size, crc, position, transitional]
        case RegularConfiguration():
            return ["regular", *_values(event)]
        case TransitionalConfiguration():
            return ["transitional", *_values(event)]
        case Stalled(laggards=laggards):
            return ["stalled", [list(one) for one in laggards]]
        case Resumed(since=since):
            return ["resumed", since]
        case Evicted(by=by):
            return ["evicted", list(by)]
        case Resync(reason=reason):
            return ["resync", reason]
        case Disconnected(reason=reason):
            return ["disconnected", reason]


def receipt_line(number: int, receipt: Receipt) -> Line:
    """A receipt; of its configuration what tells whether it is the one that was handed out."""
    configuration = receipt.configuration
    return ["receipt", number, receipt.position, receipt.transitional, configuration.number, digest(configuration)]


def digest(configuration: Configuration) -> int:
    """A number that tells configurations apart."""
    return zlib.crc32(repr(configuration).encode())


def got(values: Line) -> Got:
    """A delivery, from the values of its line."""
    number, sender, *rest = values
    return Got(number, Address(*sender), *rest)


def configuration(kind: str, values: Line) -> Configuration:
    """A configuration, from the values of its line."""
    of = RegularConfiguration if kind == "regular" else TransitionalConfiguration
    made = {one.name: _READERS.get(one.name, _same)(value) for one, value in zip(fields(of), values, strict=True)}
    return of(**made)


def _values(value: Any) -> Line:
    return [getattr(value, one.name) for one in fields(value)]


def _same(value: Any) -> Any:
    return value


def _addresses(value: Any) -> tuple[Address, ...]:
    return tuple(Address(*one) for one in value)


_READERS: dict[str, Callable[[Any], Any]] = {
    "ring_id": lambda value: RingId(*value),
    "nodes": tuple,
    "nodes_joined": tuple,
    "nodes_left": tuple,
    "members": _addresses,
    "joined": _addresses,
    "left": _addresses,
}
