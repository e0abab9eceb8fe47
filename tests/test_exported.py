"""What exporters of metrics share."""

from __future__ import annotations

import dataclasses
import sys
from concurrent.futures import ThreadPoolExecutor
from weakref import ref

from aiocpg import ForkedError, GroupStatistics
from aiocpg._exported import COUNTERS, GAUGES, HISTOGRAMS, Watched, cumulated, shown
from support.snapshots import counted, group


def test_every_number_of_a_snapshot_is_exported_once() -> None:
    """A number that is added to the snapshot has to find its name here."""
    fields = [series.field for series in (*COUNTERS, *GAUGES, *HISTOGRAMS)]
    labels = {"group", "member", "state"}
    assert sorted(fields) == sorted({field.name for field in dataclasses.fields(GroupStatistics)} - labels)


def test_each_name_is_shown_as_another_text() -> None:
    """Names are bytes, labels are text; two groups under one label would be one."""
    assert shown("Aufträge".encode()) == "Aufträge"
    assert shown(b"\xff\0") == "\\xff\0"
    names = [b"\xff", b"\\xff", b"\\\xff", b"\\\\xff", b"\\", b"\\\\"]
    assert len(set(map(shown, names))) == len(names)


def test_buckets_are_cumulated() -> None:
    """The last one has them all."""
    assert list(cumulated((2, 3, 0, 1))) == [2, 5, 5, 6]


def test_connections_come_and_go() -> None:
    """Each once, however often it was added or taken back; what they have counted stays, and nothing else."""
    one, two = counted(group(b"a"), reconnects=1), counted(group(b"b"), reconnects=2)
    watched = Watched(one)
    for _ in range(2):
        watched.add(two)
    assert told(watched) == ({"a": (3, True, ("member",)), "b": (3, True, ("member",))}, 3)
    for _ in range(2):
        watched.discard(one)
    assert told(watched) == ({"a": (3, False, ()), "b": (3, True, ("member",))}, 3)
    for _ in range(2):
        watched.add(one)
    assert told(watched) == ({"a": (3, True, ("member",)), "b": (3, True, ("member",))}, 3)


def told(watched: Watched) -> tuple[dict[str, tuple[int, bool, tuple[str, ...]]], int]:
    """By group: what was delivered, whether it is open, its states; and the reconnects."""
    groups, reconnects = watched._snapshot()
    return {one.group: (one.counted.delivered, one.is_open, one.states) for one in groups}, reconnects


def test_counters_outlive_the_connections() -> None:
    """Of which nothing else is kept: a process may connect anew as often as it likes."""
    watched = Watched()
    for number in range(1, 4):
        connection = counted(group(b"a"), reconnects=1)
        watched.add(connection)
        assert told(watched) == ({"a": (3 * number, True, ("member",))}, number)
        watched.discard(connection)
        weakly = ref(connection)
        del connection
        assert weakly() is None
    assert told(watched) == ({"a": (9, False, ())}, 3)


def test_what_has_the_same_labels_is_added_up() -> None:
    """Two connections to two worlds may both be node 1 in a group of this name; Prometheus takes no series twice."""
    watched = Watched(counted(group(b"a")), counted(group(b"a", state="away"), ended=[group(b"b", state="lost")]))
    assert told(watched)[0] == {"a": (6, True, ("member", "away")), "b": (3, False, ("lost",))}


def test_loops_may_add_their_connections_at_once() -> None:
    """Each in its thread; none is left out."""
    watched = Watched()
    connections = [[counted(group(b"%d.%d" % (thread, number))) for number in range(100)] for thread in range(4)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(len(connections)) as threads:
            list(threads.map(lambda some: list(map(watched.add, some)), connections))
    finally:
        sys.setswitchinterval(before)
    assert len(told(watched)[0]) == 400


def test_group_that_was_joined_again_counts_on() -> None:
    """Its state is that of now."""
    watched = Watched(counted(group(b"a"), ended=[group(b"a", state="lost")]))
    assert told(watched)[0] == {"a": (6, True, ("member",))}


def test_connection_of_the_process_that_was_forked_is_left_out() -> None:
    """The child is no member; its own connections are its own affair."""
    watched = Watched(counted(group(b"a")), counted(group(b"b"), error=ForkedError()))
    assert list(told(watched)[0]) == ["a"]
    watched.discard(counted(error=ForkedError()))
