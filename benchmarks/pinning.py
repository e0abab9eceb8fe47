"""
Which CPU a daemon has and which the measured client, and the program that starts a client on its own.

Corosync runs at real-time priority. Where it wakes up on the client's CPU it preempts the client at each send; where it
wakes up on another, both work at once. Which it is, is luck that lasts for a run: the same program moves several times
as many messages in one run as in the next. So both are put where they stay, the C client in the same way as aiocpg.

``python -m benchmarks.pinning CPU PROGRAM [ARGUMENT ...]`` becomes the program, on that CPU alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/{}"


@dataclass(frozen=True)
class Cpu:
    """One that we may use."""

    number: int
    core: int
    """CPUs with one number share a core, and slow each other down."""
    package: int
    """CPUs with one number share a cache."""


@dataclass(frozen=True)
class Places:
    """Who runs where."""

    daemons: tuple[int, ...]
    """CPUs for daemons: that of the first node, of the second, and over again."""
    client: int

    def __str__(self) -> str:
        return f"daemon on CPU {self.daemons[0]}, client on CPU {self.client}"


def cpus() -> list[Cpu]:
    """Return those that this process may use."""
    return [
        Cpu(number, _topology(number, "core_id"), _topology(number, "physical_package_id")) for number in _allowed()
    ]


def _allowed() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def _topology(number: int, what: str) -> int:
    try:
        return int(Path(TOPOLOGY.format(number, what)).read_text())
    except (OSError, ValueError):
        return number if what == "core_id" else 0


def choose(usable: Sequence[Cpu]) -> Places | None:
    """Give the first to the daemon and its best neighbour to the client; None where there is only one."""
    if len(usable) < 2:
        return None
    first, *others = usable
    client = min(others, key=lambda cpu: (cpu.package != first.package, cpu.core == first.core, cpu.number))
    return Places((first.number, *(cpu.number for cpu in others if cpu is not client)), client.number)


def move(pid: int, to: Iterable[int]) -> None:
    """Let all threads of a process run on these CPUs only."""
    where = set(to)
    for task in os.listdir(f"/proc/{pid}/task"):
        with suppress(ProcessLookupError):  # a thread that ended meanwhile runs nowhere
            os.sched_setaffinity(int(task), where)


def pinned(argv: Sequence[str], cpu: int) -> list[str]:
    """Return the command that runs this one on that CPU."""
    return [sys.executable, "-m", "benchmarks.pinning", str(cpu), *argv]


def main(cpu: str, *argv: str) -> None:
    """Become the program."""
    os.sched_setaffinity(0, {int(cpu)})
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    main(*sys.argv[1:])
