"""How the context of a trace travels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context

from aiocpg.otel._context import encode, links


def in_span(state: TraceState | None = None) -> Context:
    """The context of a span of somebody."""
    span = SpanContext(0xA1, 0xB2, is_remote=False, trace_flags=TraceFlags(1), trace_state=state)
    return set_span_in_context(NonRecordingSpan(span), Context())


def test_context_comes_back_as_a_link() -> None:
    """With its state."""
    (link,) = links(encode(in_span(TraceState([("vendor", "value")]))))
    assert (link.context.trace_id, link.context.span_id) == (0xA1, 0xB2)
    assert link.context.trace_flags.sampled
    assert link.context.trace_state["vendor"] == "value"
    assert link.context.is_remote


def test_context_is_what_the_reference_says() -> None:
    """Lines that a member in another language can write."""
    assert encode(in_span()) == b"traceparent: 00-%032x-%016x-01\n" % (0xA1, 0xB2)


def test_no_span_is_no_context() -> None:
    """And no link."""
    assert encode(Context()) == b""
    assert links(b"") == []


def test_state_without_room_is_left_out() -> None:
    """The span itself always has room."""
    state = TraceState([(f"vendor{number}", "x" * 200) for number in range(6)])
    encoded = encode(in_span(state))
    assert len(encoded) <= 1000
    (link,) = links(encoded)
    assert (link.context.span_id, len(link.context.trace_state)) == (0xB2, 0)


@pytest.mark.parametrize("encoded", [b"\xff", b"traceparent", b"traceparent: 00-0-0-01\n", b":\n\n", b"other: 1"])
def test_what_cannot_be_understood_is_no_link(encoded: bytes) -> None:
    """Other members may write what they like there."""
    assert links(encoded) == []


@given(st.binary(max_size=200).map(lambda tail: b"traceparent: " + tail))
def test_nothing_that_comes_makes_a_reader_fail(encoded: bytes) -> None:
    """It is one link or none."""
    assert len(links(encoded)) <= 1
