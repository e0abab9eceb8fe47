"""The EVS examples do what Corosync's own programs did, and more, among processes of a host and on a real daemon."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import pytest

from aiocpg.testing import ClusterNode
from examples.programs import Program, Stage, stage

pytestmark = [
    pytest.mark.usefixtures("local_directory"),
    pytest.mark.parametrize("url", ["local://examples", "corosync://"]),
]


@pytest.fixture
def play() -> Iterator[Stage]:
    """Start programs here."""
    with stage() as it:
        yield it


def numbers(program: Program, pattern: str) -> list[int]:
    """The numbers in a line, which must be there once."""
    (found,) = filter(None, (re.fullmatch(pattern, line) for line in program.lines))
    return [int(number) for number in found.groups()]


def test_testevs_counts_each_message_once(url: str, node: ClusterNode, play: Stage) -> None:
    """500 to three groups, 500 to the second: each comes once, in however many of the groups it is."""
    program = play.start(node, "evs_testevs", "--url", url)
    assert program.ended() == 0
    assert program.lines == [
        "sent 500 to key1 key2 key3",
        "sent 500 to key2",
        f"nodes: 1 members: {program.address}",
        "read 500 to key1 key2 key3 from me",
        "read 500 to key2 from me",
    ]


def test_verify_finds_nothing_wrong(url: str, node: ClusterNode, play: Stage) -> None:
    """Two at once, all guarantees and sizes: every checksum is right, the order is kept, each has its outcome."""
    first, second = (play.start(node, "evs_verify", "--url", url, "--seconds", "1") for _ in range(2))
    for program in (first, second):
        assert program.ended() == 0, str(program)
        (sent, outcomes) = numbers(program, r"sent (\d+), of them (\d+) regular(?:, \d+ transitional)?")
        read, *kinds = numbers(program, r"read (\d+), .* (\d+) UNORDERED, (\d+) FIFO, (\d+) AGREED, (\d+) SAFE")
        assert 0 < outcomes <= sent <= read == sum(kinds)
        assert all(kinds)
        assert program.lines[-1] == "wrong in all: 0"


@pytest.mark.parametrize("guarantee", ["AGREED", "SAFE"])
def test_bench_measures_each_size(url: str, guarantee: str, node: ClusterNode, play: Stage) -> None:
    """A line for each size, from a byte to 224 kB, with two rates that agree."""
    program = play.start(node, "evs_bench", "--url", url, "--quick", "--guarantee", guarantee)
    assert program.ended() == 0, str(program)
    assert program.lines[0] == f"{guarantee}, 1 in the domain"
    found = [re.fullmatch(r" *(\d+) bytes +(\d+) messages/s +([\d.]+) MB/s", line) for line in program.lines[1:]]
    assert [int(line[1]) for line in found if line] == [1, 1001, 10_001, 100_001, 224_001]
    for line in filter(None, found):
        size, rate = int(line[1]), int(line[2])
        # Both are rounded: by half a message, and by half of a hundredth.
        assert float(line[3]) == pytest.approx(size * rate / 1e6, abs=size * 0.51 / 1e6 + 0.006)


def test_journal_names_those_who_have_an_entry(url: str, node: ClusterNode, play: Stage) -> None:
    """Both keep the same journal; the answer names both, and the end of the input ends a member in order."""
    first = play.start(node, "evs_journal", "--url", url, "--copies", "2", "--deadline", "25")
    first.until_line(f"members: {first.address}")
    first.type("alone")
    first.until_line(rf"too few alone \({first.address}\)")
    second = play.start(node, "evs_journal", "--url", url, "--deadline", "25")
    both = " ".join(sorted([first.address, second.address], key=lambda address: int(address.partition(":")[2])))
    for member in (first, second):
        member.until_line(f"members: {both}")
    first.type("one")
    first.until_line(rf"stored one \({both}\)")
    second.type("two")
    second.until_line(rf"stored two \({both}\)")
    second.close_input()
    assert second.ended() == 0, str(second)
    assert [line for line in second.lines if line.startswith("entry")] == ["entry one", "entry two"]
    first.until_line("entry two")
    first.interrupt()


def test_journal_says_unknown_while_somebody_is_stopped(url: str, node: ClusterNode, play: Stage) -> None:
    """The deadline passes while a member is stopped, which is named; when it goes on, the entry is stored after all."""
    first, second = (play.start(node, "evs_journal", "--url", url, "--deadline", "0.5") for _ in range(2))
    for member in (first, second):
        member.until_line(r"members: \S+ \S+")
    second.send(signal.SIGSTOP)
    first.type("entry")
    first.until_line(r"unknown entry \(not with everybody yet, .*\)")
    first.until_line(f"waiting for {second.address}")
    second.send(signal.SIGCONT)
    first.until_line(r"stored entry \(\S+ \S+\)")
    first.until_line("going on")
    second.until_line("entry entry")
    second.interrupt()
    first.interrupt()


def test_journal_tells_who_has_what_when_a_member_dies(url: str, node: ClusterNode, play: Stage) -> None:
    """A member is killed while an entry waits for it: the entry is with those who are left, and the answer says so."""
    first, second = (play.start(node, "evs_journal", "--url", url, "--deadline", "0.5") for _ in range(2))
    for member in (first, second):
        member.until_line(r"members: \S+ \S+")
    second.send(signal.SIGSTOP)
    first.type("entry")
    first.until_line(r"unknown entry .*")
    second.send(signal.SIGKILL)
    first.until_line(rf"stored entry \({first.address}\)")
    first.until(lambda lines: lines[-1] == f"members: {first.address}", "its being alone")
    first.interrupt()
