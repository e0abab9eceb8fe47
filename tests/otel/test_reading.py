"""Reading with a span around what is done with each message."""

from __future__ import annotations

import anyio
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import INVALID_SPAN, SpanKind, StatusCode, get_current_span

from aiocpg import evs, otel
from aiocpg.evs import Delivery, Evs
from aiocpg.testing import ClusterNode, MemoryCluster
from support.evs import handles
from support.running import PATIENCE

pytestmark = pytest.mark.anyio


async def process(handle: Evs, tracing: TracerProvider, last: bytes) -> None:
    """Read up to this message, with work in a span of its own for each."""
    with anyio.fail_after(PATIENCE):
        async with otel.traced(handle, tracer_provider=tracing) as events:
            async for event in events:
                if isinstance(event, Delivery):
                    with tracing.get_tracer("test").start_as_current_span(f"work {event.data.decode()}"):
                        pass
                    if event.data == last:
                        return


async def test_each_reader_has_a_span_that_is_linked_to_the_senders(
    tracing: TracerProvider, spans: InMemorySpanExporter
) -> None:
    """It is no child of it, and what is done meanwhile is a child of its own."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, groups=["orders"]) as (one, two):
            await otel.mcast_groups(one, ["orders"], b"1", tracer_provider=tracing)
            await one.mcast_groups(["orders"], b"2")
            for handle in one, two:
                await process(handle, tracing, b"2")
    found = {name: [span for span in spans.get_finished_spans() if span.name == name] for name in
             ("send orders", "process orders", "work 1", "work 2")}  # fmt: skip
    (sent,) = found["send orders"]
    processed = found["process orders"]
    assert [[link.context.span_id for link in span.links] for span in processed] == [[sent.context.span_id], []] * 2
    assert {(span.kind, span.parent) for span in processed} == {(SpanKind.CONSUMER, None)}
    assert len({span.context.trace_id for span in (sent, *processed)}) == 5
    assert [span.parent.span_id for span in found["work 1"] if span.parent] == [
        span.context.span_id for span in processed[::2]
    ]


async def test_span_says_what_is_processed(tracing: TracerProvider, spans: InMemorySpanExporter) -> None:
    """By the conventions for messaging, and where it stands in the order."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, groups=["orders"]) as (one,):
            await one.mcast_groups(["orders"], b"hello")
            await process(one, tracing, b"hello")
            me = str(one.me)
    (span,) = [span for span in spans.get_finished_spans() if span.kind is SpanKind.CONSUMER]
    assert span.attributes == {
        "messaging.system": "aiocpg",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "orders",
        "messaging.client.id": me,
        "messaging.message.body.size": 5,
        "aiocpg.evs.domain": "default",
        "aiocpg.evs.guarantee": "AGREED",
        "aiocpg.sender": me,
        "aiocpg.evs.position": 1,
    }


async def test_error_that_leaves_the_block_is_the_spans(tracing: TracerProvider, spans: InMemorySpanExporter) -> None:
    """And behind the block no span is current."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, groups=["orders"]) as (one,):
            await one.mcast_groups(["orders"], b"bad")
            with pytest.raises(ZeroDivisionError):
                async with otel.traced(one, tracer_provider=tracing) as events:
                    async for event in events:
                        if isinstance(event, Delivery):
                            raise ZeroDivisionError
            assert get_current_span() is INVALID_SPAN
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]


async def test_trace_goes_through_a_real_daemon(
    node: ClusterNode, tracing: TracerProvider, spans: InMemorySpanExporter
) -> None:
    """Also beside a message in pieces."""
    async with node.connect() as cpg, evs.connect(connection=cpg, domain="traced", groups=["orders"]) as one:
        await otel.mcast_groups(one, ["orders"], b"x" * 3_000_000, tracer_provider=tracing)
        await otel.mcast_groups(one, ["orders"], b"end", tracer_provider=tracing)
        await process(one, tracing, b"end")
    finished = spans.get_finished_spans()
    sent = [span.context.span_id for span in finished if span.kind is SpanKind.PRODUCER]
    linked = [link.context.span_id for span in finished for link in span.links]
    assert linked == sent
    assert len(sent) == 2
