"""The C member as a child process on a node: compile it, start it, wait for what it recorded."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from aiocpg import Address
from aiocpg.testing import ClusterNode
from interop.history import Record, parse

SOURCE = Path(__file__).with_name("member.c")
DEADLINE = 60
"""Seconds after which a C member gives up; its exit status then says so."""


@dataclass(frozen=True)
class Plan:
    """What a member sends: numbered messages of one size first, then empty ones, then a large one."""

    count: int = 0
    size: int = 64
    empty: int = 0
    large: int = 0

    def messages(self) -> list[tuple[int, int]]:
        """Return sequence and size of every message, in order."""
        numbered = [(sequence, self.size) for sequence in range(self.count)]
        large = [(self.count, self.large)] if self.large else []
        return [*numbered, *[(self.count, 0)] * self.empty, *large]


def compile_member(directory: Path) -> Path:
    """Compile the member and return the program; a failure shows what the compiler said."""
    program = directory / "member"
    command = ["cc", "-O2", "-Wall", "-Wextra", "-Werror", str(SOURCE), "-o", str(program), "-lcpg"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"member.c does not compile (it needs cc and libcpg-dev):\n{done.stderr}"
    return program


class CMember:
    """A C member that runs; it ends by itself once it has had ``expected`` messages."""

    def __init__(self, process: subprocess.Popen[str], nodeid: int, record: Path) -> None:
        self._process = process
        self._record = record
        self.address = Address(nodeid, process.pid)

    async def finish(self) -> list[Record]:
        """Return what it saw, once it has ended, and well."""
        _, complaint = await anyio.to_thread.run_sync(self._process.communicate, abandon_on_cancel=True)
        status = self._process.returncode
        assert status == 0, f"C member {self.address} ended with status {status}: {complaint}"
        return parse(self._record.read_text())


def start_member(program: Path, node: ClusterNode, record: Path, group: bytes, *options: str) -> CMember:
    """Start the member on a node; ``group`` may end in a NUL."""
    name = ["--group", group.rstrip(b"\0").decode(), *(["--trailing-nul"] if group.endswith(b"\0") else [])]
    argv = [str(program), *name, "--record", str(record), "--deadline", str(DEADLINE), *options]
    return CMember(node.spawn(argv, stderr=subprocess.PIPE, text=True), node.nodeid, record)


def options_of(plan: Plan, *, members: int, expected: int) -> list[str]:
    """Return a plan as the C member's options, with whom it waits for and when it is done."""
    values = {"members": members, "expected": expected, "count": plan.count, "size": plan.size}
    values |= {"empty": plan.empty, "large": plan.large}
    return [word for name, value in values.items() for word in (f"--{name}", str(value))]
