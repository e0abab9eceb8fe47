"""What OpenTelemetry collects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader

from aiocpg.otel import Metrics
from aiocpg.testing import MemoryCluster
from support.snapshots import counted, group


@pytest.fixture
def reader() -> InMemoryMetricReader:
    """Collects when it is asked."""
    return InMemoryMetricReader()


@pytest.fixture
def provider(reader: InMemoryMetricReader) -> Iterator[MeterProvider]:
    """Makes instruments for it."""
    provider = MeterProvider([reader], shutdown_on_exit=False)
    yield provider
    provider.shutdown()


def collected(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    """By name: the points."""
    data = reader.get_metrics_data()
    if data is None:
        return {}
    return {
        metric.name: list(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_what_the_conventions_name_has_their_name(reader: InMemoryMetricReader, provider: MeterProvider) -> None:
    """With the attributes that they require."""
    Metrics(counted(group(b"orders", 3)), meter_provider=provider)
    found = collected(reader)
    (sent,), (consumed,) = found["messaging.client.sent.messages"], found["messaging.client.consumed.messages"]
    assert (sent.value, consumed.value) == (1, 3)
    assert sent.attributes == {
        "messaging.system": "aiocpg",
        "messaging.operation.name": "mcast",
        "messaging.destination.name": "orders",
        "aiocpg.node": 3,
    }


def test_the_rest_has_ours(reader: InMemoryMetricReader, provider: MeterProvider) -> None:
    """One point for each group."""
    Metrics(counted(group(), reconnects=4), meter_provider=provider)
    found = collected(reader)
    values = {name: points[0].value for name, points in found.items() if len(points) == 1}
    assert values == {
        "messaging.client.sent.messages": 1,
        "aiocpg.payload.sent": 20,
        "messaging.client.consumed.messages": 3,
        "aiocpg.payload.delivered": 40,
        "aiocpg.messages.lost": 7,
        "aiocpg.congestion.waits": 8,
        "aiocpg.window.waits": 9,
        "aiocpg.slow.losses": 12,
        "aiocpg.view.changes": 13,
        "aiocpg.gaps": 14,
        "aiocpg.in_flight.messages": 5,
        "aiocpg.in_flight.size": 60,
        "aiocpg.buffered.events": 10,
        "aiocpg.buffered.size": 110,
        "aiocpg.batch.messages.sum": 40,
        "aiocpg.batch.messages.count": 6,
        "aiocpg.delivery.duration.sum": 0.002,
        "aiocpg.delivery.duration.count": 4,
        "aiocpg.reconnects": 4,
    }


def test_buckets_and_states_are_points_of_their_own(reader: InMemoryMetricReader, provider: MeterProvider) -> None:
    """Buckets are cumulated; one state is 1."""
    Metrics(counted(group(state="away")), meter_provider=provider)
    found = collected(reader)
    buckets = {point.attributes["le"]: point.value for point in found["aiocpg.batch.messages.bucket"]}
    states = {point.attributes["aiocpg.group.state"]: point.value for point in found["aiocpg.group.status"]}
    assert buckets == {"1.0": 2, "10.0": 5, "+Inf": 6}
    assert {state for state, value in states.items() if value} == {"away"}


@pytest.mark.anyio
async def test_collection_tells_what_a_group_did(reader: InMemoryMetricReader, provider: MeterProvider) -> None:
    """On the memory engine, for a connection that is added later and taken back."""
    metrics = Metrics(meter_provider=provider)
    with MemoryCluster() as cluster:
        async with cluster.node(1).connect() as connection, connection.join("orders") as group:
            metrics.add(connection)
            await group.mcast_confirmed(b"hello")
            found = collected(reader)
            assert [point.value for point in found["messaging.client.sent.messages"]] == [1]
            assert [point.value for point in found["aiocpg.payload.delivered"]] == [5]
            metrics.discard(connection)
            found = collected(reader)
            assert [point.value for point in found["messaging.client.sent.messages"]] == [1]
            assert "aiocpg.in_flight.messages" not in found
            assert "aiocpg.group.status" not in found


@pytest.mark.anyio
async def test_what_is_told_as_differences_is_never_negative() -> None:
    """When a group is left and joined again; exporters that want deltas make them of what is observed."""
    reader = InMemoryMetricReader({ObservableCounter: AggregationTemporality.DELTA})
    provider = MeterProvider([reader], shutdown_on_exit=False)
    with MemoryCluster() as cluster:
        async with cluster.node(1).connect() as connection:
            Metrics(connection, meter_provider=provider)
            told: list[list[int]] = []
            for count in 3, 1:
                async with connection.join("orders") as group:
                    for _ in range(count):
                        await group.mcast_confirmed(b"hello")
                    told.append([point.value for point in collected(reader)["messaging.client.sent.messages"]])
    provider.shutdown()
    assert told == [[3], [1]]
