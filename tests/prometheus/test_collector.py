"""What Prometheus reads at a scrape."""

from __future__ import annotations

from typing import cast

import anyio.to_thread
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from aiocpg import Connection
from aiocpg._exported import shown
from aiocpg.prometheus import Collector
from aiocpg.testing import ClusterNode, MemoryCluster
from support.snapshots import Counted, counted, group

LABELS = ("group", "node", "state", "le")


def scraped(registry: CollectorRegistry) -> dict[str, dict[tuple[str, ...], float]]:
    """By name: the values, by what the labels say."""
    samples: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            labels = tuple(sample.labels[name] for name in LABELS if name in sample.labels)
            samples.setdefault(sample.name, {})[labels] = sample.value
    return samples


def registered(*connections: Connection) -> tuple[CollectorRegistry, Collector]:
    """A registry of these connections alone."""
    registry, collector = CollectorRegistry(), Collector(*connections)
    registry.register(collector)
    return registry, collector


def test_numbers_have_names_with_base_units() -> None:
    """Counters end in ``_total``, bytes say so."""
    found = scraped(registered(counted(group(b"orders", 3), reconnects=4))[0])
    where = ("orders", "3")
    assert {name: values[where] for name, values in found.items() if where in values and "_created" not in name} == {
        "aiocpg_messages_sent_total": 1,
        "aiocpg_payload_sent_bytes_total": 20,
        "aiocpg_messages_delivered_total": 3,
        "aiocpg_payload_delivered_bytes_total": 40,
        "aiocpg_messages_lost_total": 7,
        "aiocpg_congestion_waits_total": 8,
        "aiocpg_window_waits_total": 9,
        "aiocpg_slow_losses_total": 12,
        "aiocpg_view_changes_total": 13,
        "aiocpg_gaps_total": 14,
        "aiocpg_in_flight_messages": 5,
        "aiocpg_in_flight_bytes": 60,
        "aiocpg_buffered_events": 10,
        "aiocpg_buffered_bytes": 110,
        "aiocpg_batch_messages_count": 6,
        "aiocpg_batch_messages_sum": 40,
        "aiocpg_delivery_duration_seconds_count": 4,
        "aiocpg_delivery_duration_seconds_sum": 0.002,
    }
    assert found["aiocpg_reconnects_total"] == {(): 4}


def test_buckets_are_cumulated_up_to_infinity() -> None:
    """As Prometheus wants them."""
    found = scraped(registered(counted(group()))[0])["aiocpg_batch_messages_bucket"]
    assert {labels[-1]: value for labels, value in found.items()} == {"1.0": 2, "10.0": 5, "+Inf": 6}


def test_state_is_one_of_all_states() -> None:
    """All others are 0."""
    found = scraped(registered(counted(group(state="away")))[0])["aiocpg_group_state"]
    assert {labels[-1] for labels, value in found.items() if value} == {"away"}
    assert len(found) == 6


def test_group_that_is_no_text_and_two_memberships_are_told_apart() -> None:
    """Labels never clash, and a scrape never fails for a name."""
    found = scraped(registered(counted(group(b"\xff", 1)), counted(group(b"\xff", 2)))[0])
    assert set(found["aiocpg_messages_sent_total"]) == {("\\xff", "1"), ("\\xff", "2")}


def test_group_that_is_gone_keeps_its_counters_and_its_state() -> None:
    """It has nothing that goes up and down. So a monitor sees that it is gone, and counters never restart."""
    found = scraped(registered(counted(ended=[group(state="lost")]))[0])
    assert found["aiocpg_messages_sent_total"] == {("orders", "1"): 1}
    assert {labels[-1] for labels, value in found["aiocpg_group_state"].items() if value} == {"lost"}
    assert "aiocpg_buffered_events" not in found


def test_no_series_is_there_twice() -> None:
    """Prometheus takes none of such; two connections to two worlds may have the same labels."""
    registry, _ = registered(counted(group()), counted(group(state="away"), ended=[group()]))
    lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    names = [line.rpartition(" ")[0] for line in lines]
    assert len(names) == len(set(names))
    found = scraped(registry)
    assert found["aiocpg_messages_sent_total"] == {("orders", "1"): 3}
    assert {labels[-1]: value for labels, value in found["aiocpg_group_state"].items() if value} == {
        "member": 1,
        "away": 1,
    }


def test_labels_that_need_it_are_escaped() -> None:
    """A name may have any bytes; the text stays one that can be read back."""
    names = [b'quote "', b"line\nend", b"\\", b"\xff", b"nul\0", "\u2028Aufträge".encode()]
    found = scraped(registered(counted(*map(group, names)))[0])["aiocpg_messages_sent_total"]
    assert sorted(name for name, _ in found) == sorted(map(shown, names))


def test_text_is_what_openmetrics_wants() -> None:
    """Its own parser refuses what is not."""
    registry, _ = registered(counted(group(b"a"), group(b"b\n"), ended=[group(b"c")]))
    text = openmetrics.generate_latest(registry).decode()
    assert len(list(openmetrics_families(text))) == len(list(registry.collect()))


def test_nothing_is_asked_between_scrapes() -> None:
    """Once for each, and once where it is registered at the most."""
    connection = counted(group())
    registry, _ = registered(connection)
    fake = cast("Counted", connection)
    before = fake.asked
    scraped(registry)
    assert fake.asked == before + 1


def test_second_collector_in_a_registry_is_refused() -> None:
    """It would say everything twice, which Prometheus does not take."""
    registry, _ = registered(counted(group()))
    with pytest.raises(ValueError, match="aiocpg_messages_sent"):
        registry.register(Collector(counted(group())))


@pytest.mark.anyio
async def test_scrape_tells_what_a_group_did() -> None:
    """On the memory engine, from another thread, up to leaving."""
    with MemoryCluster() as cluster:
        async with cluster.node(1).connect() as connection:
            registry, collector = registered(connection)
            async with connection.join("orders") as group:
                await group.mcast_confirmed(b"hello")
                found = await anyio.to_thread.run_sync(scraped, registry)
                where = ("orders", "1")
                assert found["aiocpg_messages_sent_total"][where] == 1
                assert found["aiocpg_payload_delivered_bytes_total"][where] == 5
                assert found["aiocpg_group_state"][*where, "member"] == 1
            left = scraped(registry)
            assert left["aiocpg_messages_sent_total"][where] == 1
            assert left["aiocpg_group_state"][*where, "closed"] == 1
            assert "aiocpg_in_flight_messages" not in left
            async with connection.join("orders") as group:
                await group.mcast_confirmed(b"again")
                again = scraped(registry)
                assert again["aiocpg_messages_sent_total"][where] == 2
                assert [state for (*_, state), value in again["aiocpg_group_state"].items() if value] == ["member"]
            collector.discard(connection)
            assert "aiocpg_group_state" not in scraped(registry)
            assert scraped(registry)["aiocpg_messages_sent_total"][where] == 2


@pytest.mark.anyio
async def test_scrape_on_a_real_node(node: ClusterNode) -> None:
    """The same numbers come from a daemon."""
    async with node.connect() as connection, connection.join("prometheus") as group:
        for _ in range(3):
            await group.mcast_confirmed(b"12")
        found = scraped(registered(connection)[0])
        where = ("prometheus", str(group.me.nodeid))
        assert found["aiocpg_messages_sent_total"][where] == 3
        assert found["aiocpg_payload_sent_bytes_total"][where] == 6
        assert found["aiocpg_delivery_duration_seconds_count"][where] >= 1
