"""What memberships had counted when they ended."""

from __future__ import annotations

from dataclasses import fields

from aiocpg import GroupStatistics, Histogram
from aiocpg._state.ended import MAX_ENDED, counted, together
from support.snapshots import group


def test_what_counts_is_added_up() -> None:
    """All of it; who and where it is, the second says."""
    both = together(group(nodeid=1, state="lost"), group(nodeid=2, state="member"))
    assert (both.member.nodeid, both.state) == (2, "member")
    one = group()
    for field in fields(GroupStatistics):
        if isinstance(before := getattr(one, field.name), int):
            assert getattr(both, field.name) == 2 * before
    assert both.batch_size == Histogram((1.0, 10.0), (4, 6, 2), 80.0)
    assert both.delivery_seconds == Histogram((0.001,), (8, 0), 0.004)


def test_there_is_one_for_each_group_and_node_in_the_order_of_their_ends() -> None:
    """In the state of the last one."""
    ends = [group(b"a", state="lost"), group(b"b"), group(b"a", nodeid=2), group(b"a", state="closed")]
    found = [(one.group, one.member.nodeid, one.state, one.delivered) for one in counted(ends)]
    assert found == [(b"b", 1, "member", 3), (b"a", 2, "member", 3), (b"a", 1, "closed", 6)]


def test_nothing_is_on_its_way_any_more() -> None:
    """Nor does anybody have to read what was not read."""
    (one,) = counted([group()])
    assert (one.in_flight, one.in_flight_bytes, one.buffered_events, one.buffered_bytes) == (0, 0, 0, 0)


def test_only_so_many_are_remembered() -> None:
    """Those that ended last."""
    names = [b"%d" % number for number in range(MAX_ENDED + 5)]
    found = counted([*map(group, names), group(b"5")])
    assert [one.group for one in found] == [*names[6:], b"5"]
