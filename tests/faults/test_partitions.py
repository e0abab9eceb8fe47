"""Members on three nodes agree, ring by ring, while the network is cut and healed and all of them send."""

from __future__ import annotations

import pytest

from aiocpg import Address, RingId
from aiocpg.testing import CorosyncCluster
from faults.agreement import Segment, check
from faults.partitioning import Campaign
from faults.watching import Measured

A, B = Address(1, 10), Address(2, 20)
FIRST, SECOND, ELSEWHERE = (RingId(1, 1), (A,)), (RingId(1, 5), (A, B)), (RingId(2, 1), (B,))


@pytest.mark.anyio
async def test_streams_agree_ring_by_ring_when_the_network_is_cut_and_healed(
    cluster: CorosyncCluster, measured: Measured
) -> None:
    """Who stays together sees the same; who comes back misses at most the beginning; nothing is doubled or turned."""
    campaign = Campaign(cluster, seed=3)
    rounds = 2
    histories = await campaign.run(rounds)
    shared = check(histories)
    measured("messages sent", sum(campaign.sent.values()), "")
    measured("views of node 1", len(histories["node 1"]), "")
    measured("segments shared whole", shared, "")
    # Of each ring that broke, the pair that stayed together; and at both ends of the campaign.
    assert shared >= rounds + 2


def history(*parts: list[int]) -> list[Segment]:
    """Make a history of one or two views with these messages, all of one sender."""
    return [
        Segment(key, tuple((A, item) for item in items)) for key, items in zip((FIRST, SECOND), parts, strict=False)
    ]


GOOD = history([1, 2], [3, 4, 5])

BAD = {
    "a message is missing": history([1, 2], [3, 5]),
    "a message is doubled": history([1, 2], [3, 3, 4, 5]),
    "two are the other way round": history([1, 2], [4, 3, 5]),
    "one stands on the other side of the change": history([1], [2, 3, 4, 5]),
    "the beginning is missing after a join": [Segment(SECOND, ((A, 4), (A, 5)))],
    "the end is missing after a merge": [Segment(ELSEWHERE, ()), Segment(SECOND, ((A, 3), (A, 4)))],
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_check_finds_what_is_wrong(bad: list[Segment]) -> None:
    """The check of this file's campaign sees each fault it is there for."""
    assert check({"good": GOOD, "as good": GOOD}) == 2
    with pytest.raises(AssertionError):
        check({"good": GOOD, "bad": bad})


def test_check_lets_a_returning_member_miss_the_beginning() -> None:
    """That much Corosync does not promise."""
    returned = [Segment(ELSEWHERE, ()), Segment(SECOND, ((A, 4), (A, 5)))]
    assert check({"stayed": GOOD, "returned": returned}) == 0
