"""Reading with a span around what is done with each message."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator

import anyio
import anyio.lowlevel
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import INVALID_SPAN, SpanKind, StatusCode, get_current_span

from aiocpg import UsageError, evs, otel
from aiocpg.evs import Delivery, Evs, EvsEvent
from aiocpg.otel._spans import leave_what_is_over
from aiocpg.testing import ClusterNode, MemoryCluster
from support.evs import data_until, handles, payloads
from support.running import PATIENCE, cancelling
from support.tracing import count_spans

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
    assert span.attributes
    assert span.attributes["error.type"] == "ZeroDivisionError"
    assert [event.name for event in span.events] == ["exception"]


async def test_block_that_is_cancelled_has_met_no_error(tracing: TracerProvider, spans: InMemorySpanExporter) -> None:
    """Nor has a generator that is closed: the span just ends."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, groups=["orders"]) as (one,):
            await send(one, b"1", b"2")
            with anyio.CancelScope() as scope:
                async with otel.traced(one, tracer_provider=tracing) as events:
                    async for _ in events:
                        scope.cancel()
                        await anyio.sleep(PATIENCE)
            async with contextlib.aclosing(generator(one, tracing)) as events_again:
                async for _ in events_again:
                    break
            assert get_current_span() is INVALID_SPAN
    assert [span.status.status_code for span in spans.get_finished_spans()] == [StatusCode.UNSET] * 2


async def generator(handle: Evs, tracing: TracerProvider) -> AsyncGenerator[EvsEvent]:
    """What a handle gets, by way of a generator with a block in it."""
    async with otel.traced(handle, tracer_provider=tracing) as events:
        async for event in events:
            yield event


async def send(handle: Evs, *messages: bytes) -> None:
    """Send these to where all read, and wait until they are back."""
    for data in messages:
        ticket = await handle.mcast_groups(["orders"], data)
    await ticket.delivered()


async def test_reading_outside_of_the_block_is_refused(tracing: TracerProvider) -> None:
    """Nobody would end the last span, which would be the current one for good. Nothing is lost by it."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, groups=["orders"]) as (one,):
            await send(one, b"1")
            events = otel.traced(one, tracer_provider=tracing)
            with pytest.raises(UsageError, match="async with"):
                await anext(events)
            async with events:
                assert isinstance(await anext(events), Delivery)
            assert get_current_span() is INVALID_SPAN
            with pytest.raises(UsageError, match="async with"):
                await anext(events)


async def test_another_task_may_read_than_the_one_that_leaves_the_block(
    tracing: TracerProvider, spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    """As with a generator that is thrown away, or a timeout that runs what it waits for in a task of its own."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, groups=["orders"]) as (one,):
            await send(one, b"1", b"2", b"3")
            async with otel.traced(one, tracer_provider=tracing) as events:
                for _ in range(2):
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(anext, events)
                assert get_current_span() is INVALID_SPAN
                await anext(events)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(end_of, events)
                assert get_current_span() is not INVALID_SPAN
                leave_what_is_over()
            assert get_current_span() is INVALID_SPAN
    assert len(spans.get_finished_spans()) == 3
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def end_of(events: otel.Traced) -> None:
    """Leave the block of another task."""
    await events.__aexit__(None, None, None)


async def test_two_readers_in_one_task_leave_no_span_behind(tracing: TracerProvider) -> None:
    """In whatever order their spans end, none that has ended is the current one."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, groups=["orders"]) as (one, two):
            await send(one, b"1", b"2")
            await send(two, b"3")
            async with (
                otel.traced(one, tracer_provider=tracing) as first,
                otel.traced(two, tracer_provider=tracing) as second,
            ):
                await anext(first)
                await anext(second)
                of_the_second = get_current_span()
                await first.__aexit__(None, None, None)
                assert get_current_span() is of_the_second
            assert get_current_span() is INVALID_SPAN


async def test_message_comes_also_where_no_span_can_be_made(
    faulty_tracing: TracerProvider, spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    """The log tells of it, and the next one has a span again."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, groups=["orders"]) as (one,):
            await send(one, b"1", b"2")
            async with otel.traced(one, tracer_provider=faulty_tracing) as events:
                read = [await anext(events) for _ in range(2)]
    assert payloads(read) == [b"1", b"2"]
    assert len(spans.get_finished_spans()) == 1
    assert "span" in caplog.text


async def test_cancelling_at_any_await_loses_no_message_and_leaves_no_span_open() -> None:
    """Whatever was being done: waiting for a message, or working on one."""
    started, ended = count_spans(provider := TracerProvider(shutdown_on_exit=False))
    for moment in range(1, 12):
        with MemoryCluster() as cluster:
            async with handles(cluster, 1, groups=["orders"]) as (one,):
                handed_out: list[bytes] = []

                async def work(handle: Evs, into: list[bytes]) -> None:
                    async with otel.traced(handle, tracer_provider=provider) as events:
                        async for event in events:
                            into += payloads([event])
                            await anyio.lowlevel.checkpoint()
                            await handle.mcast_groups(["orders"], b"%d" % len(into))

                await send(one, b"0")
                with anyio.CancelScope() as scope:
                    await cancelling(work(one, handed_out), scope, moment)
                assert scope.cancelled_caught
                assert get_current_span() is INVALID_SPAN
                await send(one, b"end")
                rest = await data_until(one, b"end")
                assert [*handed_out, *rest[:-1]] == [
                    b"%d" % number for number in range(len(handed_out) + len(rest) - 1)
                ]
    assert len(started) == len(ended) > 0
    provider.shutdown()


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
