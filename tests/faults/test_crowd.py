"""Many processes at ``local://`` while some are killed: one order for all, one broker, and nothing left."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.crowd import AT_LEAST, Crowd, check_log, has_ended
from faults.watching import Measured
from support.running import until

MEASURE = ["+1:1 JOIN of 1", "1:1 1 0", "+1:2 JOIN of 2", "1:2 2 0", "1:1 1 1", "1:1 end"]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.usefixtures("local_directory")
async def test_crowd_reads_one_order_while_members_are_killed(tmp_path: Path, measured: Measured) -> None:
    """See campaigns.py for the minute with 50."""
    crowd = Crowd("crowd", 8, tmp_path, seed=1)
    try:
        told = await crowd.run(4)
        await until(lambda: has_ended("crowd"))
    finally:
        crowd.end()
    for name, value in told._asdict().items():
        measured(name, value, "")
    assert told.brokers == 1
    assert told.killed >= AT_LEAST


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "has read nothing"),
        (MEASURE[3:], "begins with"),
        ([*MEASURE[2:4], "1:1 end"], "something else"),
        ([MEASURE[2], MEASURE[4], MEASURE[3], MEASURE[5]], "something else"),
        (MEASURE[2:5], "ends with"),
    ],
)
def test_spoiled_log_is_found(lines: list[str], words: str) -> None:
    """What is missing, doubled, or in another order."""
    check_log(2, MEASURE[2:], MEASURE, is_whole=True)
    with pytest.raises(AssertionError, match=words):
        check_log(2, lines, MEASURE, is_whole=True)
