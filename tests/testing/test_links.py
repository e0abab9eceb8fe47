"""The lines for `ip` and `tc`."""

from __future__ import annotations

import pytest

from aiocpg.testing._links import deafening_line, degraded, limited, network_lines


def test_a_node_knows_all_the_others_from_the_start() -> None:
    """The neighbour table has each other node, and not the node itself."""
    known = [line.split()[2] for line in network_lines([1, 2, 3], 2) if line.startswith("neighbour")]
    assert known == ["10.77.0.1", "10.77.0.3"]


def test_a_deaf_node_has_a_strangers_hardware_address() -> None:
    """What is sent there arrives nowhere, until the right address is back."""
    wrong, right = deafening_line(3, deaf=True), deafening_line(3, deaf=False)
    assert wrong != right
    assert right.replace("replace", "add") in network_lines([1, 3], 1)


def test_a_limited_link_says_so_in_tcs_words() -> None:
    """Bits are bits, not bytes."""
    assert "tbf rate 1000000bit " in limited(1_000_000).line("eth0")


def test_a_bad_link_says_so_in_tcs_words() -> None:
    """Seconds become microseconds, parts become percents."""
    assert degraded(0.0015, 0.5, 0.25).line("eth0").endswith(" netem delay 1500us loss 50.0000% reorder 25.0000%")
    assert degraded(0, 0.01, 0).line("eth0").endswith(" netem loss 1.0000%")
    assert degraded(0, 0, 0).line("eth0").endswith(" noqueue")


@pytest.mark.parametrize("wrong", [(-1, 0, 0), (0, 1.1, 0), (0, -0.1, 0), (1, 0, 2), (0, 0, 0.5)])
def test_a_bad_link_that_cannot_be_is_refused(wrong: tuple[float, float, float]) -> None:
    """Parts are from 0 to 1, and only delayed packets can be overtaken."""
    with pytest.raises(ValueError):
        degraded(*wrong)


def test_a_link_with_next_to_no_bandwidth_is_refused() -> None:
    """Who gives megabits is told the unit."""
    with pytest.raises(ValueError, match="bits per second"):
        limited(100)
