"""
How the context of a trace travels: the W3C's fields, as lines of ``name: value``. Pure.

The W3C's whatever propagators the process has: members of a domain have to understand one another.
"""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.trace import Link, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_MAX_BYTES = 1000
"""What a message can carry: see :meth:`aiocpg.evs.Evs.mcast_traced`."""

_propagator = TraceContextTextMapPropagator()


def encode(context: Context | None = None) -> bytes:
    """The context of the current span; empty where there is none. A ``tracestate`` for which there is no room goes."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, context)
    parent = carrier.pop("traceparent", None)
    if parent is None:
        return b""
    first = f"traceparent: {parent}\n".encode()
    rest = "".join(f"{name}: {value}\n" for name, value in carrier.items()).encode()
    return first + rest if len(first) + len(rest) <= _MAX_BYTES else first


def links(encoded: bytes) -> list[Link]:
    """A link to the span that a message tells of; none where it tells of none, or of none that can be understood."""
    lines = encoded.decode(errors="replace").splitlines()
    carrier = {name.strip(): value.strip() for name, found, value in (line.partition(":") for line in lines) if found}
    span = get_current_span(_propagator.extract(carrier, Context())).get_span_context()
    return [Link(span)] if span.is_valid else []
