"""What exporters of metrics share."""

from __future__ import annotations

import dataclasses

from aiocpg import GroupStatistics
from aiocpg._exported import COUNTERS, GAUGES, HISTOGRAMS, Watched, cumulated, shown
from support.snapshots import counted, group


def test_every_number_of_a_snapshot_is_exported_once() -> None:
    """A number that is added to the snapshot has to find its name here."""
    fields = [series.field for series in (*COUNTERS, *GAUGES, *HISTOGRAMS)]
    labels = {"group", "member", "state"}
    assert sorted(fields) == sorted({field.name for field in dataclasses.fields(GroupStatistics)} - labels)


def test_name_that_is_no_text_is_shown_with_backslashes() -> None:
    """Names are bytes, labels are text."""
    assert shown("Aufträge".encode()) == "Aufträge"
    assert shown(b"\xff\0") == "\\xff\0"


def test_buckets_are_cumulated() -> None:
    """The last one has them all."""
    assert list(cumulated((2, 3, 0, 1))) == [2, 5, 5, 6]


def test_connections_come_and_go() -> None:
    """Each once, however often it was added, and none where none is left."""
    one, two = counted(group(b"a"), reconnects=1), counted(group(b"b"), reconnects=2)
    watched = Watched(one)
    watched.add(two)
    watched.add(two)
    groups, reconnects = watched._snapshot()
    assert ([each.group for each in groups], reconnects) == ([b"a", b"b"], 3)
    watched.discard(one)
    watched.discard(one)
    assert [each.group for each in watched._snapshot()[0]] == [b"b"]
