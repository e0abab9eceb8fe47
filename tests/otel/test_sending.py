"""Sending with a span."""

from __future__ import annotations

import itertools

import anyio
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from aiocpg import ConnectionClosedError, Guarantee, evs, otel
from aiocpg.evs import Delivery
from aiocpg.testing import MemoryCluster
from support.evs import data_until, handles, read
from support.running import cancelling
from support.tracing import count_spans

pytestmark = pytest.mark.anyio


async def test_message_is_sent_in_a_span_and_tells_of_it(tracing: TracerProvider, spans: InMemorySpanExporter) -> None:
    """By the conventions for messaging, and in the W3C's words."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, groups=["stock", "orders"]) as (one,):
            await otel.mcast_groups(
                one, one.groups, b"to", b"gether", guarantee=Guarantee.SAFE, tracer_provider=tracing
            )
            message = await read(one, Delivery)
        (span,) = spans.get_finished_spans()
        assert (span.name, span.kind, span.status.status_code) == (
            "send orders,stock",
            SpanKind.PRODUCER,
            StatusCode.UNSET,
        )
        assert span.attributes == {
            "messaging.system": "aiocpg",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": "orders,stock",
            "messaging.client.id": str(message.sender),
            "messaging.message.body.size": 8,
            "aiocpg.evs.domain": "default",
            "aiocpg.evs.guarantee": "SAFE",
        }
        assert message.data == b"together"
        assert f"{span.context.trace_id:032x}-{span.context.span_id:016x}" in message.trace.decode()


async def test_message_to_nobody_has_a_name_as_well(tracing: TracerProvider, spans: InMemorySpanExporter) -> None:
    """It is sent to what is joined, and that is nothing."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,):
            await otel.mcast_groups(one, one.groups, b"lost", tracer_provider=tracing)
    assert [span.name for span in spans.get_finished_spans()] == ["send"]


async def test_send_that_fails_shows_in_its_span(tracing: TracerProvider, spans: InMemorySpanExporter) -> None:
    """The error goes on to the caller."""
    with MemoryCluster() as cluster:
        async with evs.connect(cluster.node(1).url) as one:
            with pytest.raises(TypeError, match="brackets"):
                await otel.mcast_groups(one, "orders", b"bare", tracer_provider=tracing)
            with pytest.raises(TypeError, match="guarantee"):
                await otel.mcast_groups(one, ["orders"], b"?", guarantee=7, tracer_provider=tracing)  # type: ignore[arg-type]
            await one.aclose()
            with pytest.raises(ConnectionClosedError):
                await otel.mcast_groups(one, ["orders"], b"late", tracer_provider=tracing)
    assert [span.status.status_code for span in spans.get_finished_spans()] == [StatusCode.ERROR] * 3
    kinds = [(span.attributes or {})["error.type"] for span in spans.get_finished_spans()]
    assert kinds == ["TypeError", "TypeError", "aiocpg.errors.ConnectionClosedError"]


async def test_send_that_is_cancelled_has_sent_nothing_and_ends_its_span() -> None:
    """At whatever it waits for: its turn, room in the window, or its pieces."""
    started, ended = count_spans(provider := TracerProvider(shutdown_on_exit=False))
    caught = 0
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, groups=["orders"], window=4096) as (one,):
            for moment, size in itertools.product((1, 2, 3), (1, 4000, 2_000_000)):
                await one.mcast_groups(["orders"], bytes(size))
                with anyio.CancelScope() as scope:
                    sending = otel.mcast_groups(one, ["orders"], b"x" * size, tracer_provider=provider)
                    await cancelling(sending, scope, moment)
                await one.mcast_groups(["orders"], b"end")
                wanted = [size] if scope.cancelled_caught else [size, size]
                assert list(map(len, await data_until(one, b"end"))) == [*wanted, 3]
                caught += scope.cancelled_caught
    assert caught >= 2
    assert started == ended == ["send orders"] * 9
    provider.shutdown()


async def test_message_goes_also_where_no_span_can_be_made(
    faulty_tracing: TracerProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """It tells of none, and the log says why."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, groups=["orders"]) as (one,):
            await otel.mcast_groups(one, ["orders"], b"plain", tracer_provider=faulty_tracing)
            assert (await read(one, Delivery)).trace == b""
    assert "span" in caplog.text


async def test_without_a_provider_a_message_carries_nothing() -> None:
    """The API alone makes no spans."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, groups=["orders"]) as (one,):
            await otel.mcast_groups(one, ["orders"], b"plain")
            assert (await read(one, Delivery)).trace == b""
