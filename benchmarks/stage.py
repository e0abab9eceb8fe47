"""The nodes that programs are measured on, one program at a time, pinned or not."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from aiocpg.testing import ClusterNode

from .pinning import Places, move, pinned

CHECKOUT = Path(__file__).resolve().parent.parent
GRACE = 30
"""Seconds that a program may take beyond its own time before it counts as hung."""


class BenchmarkError(Exception):
    """A measurement could not be made; the text says what its process said."""


class Stage:
    """
    Nodes of one cluster; what is measured runs on the first.

    Args:
        nodes: All of them.
        places: Who runs where while it is pinned; None where the machine has one CPU, and then nothing ever is.
    """

    def __init__(self, nodes: Sequence[ClusterNode], places: Places | None) -> None:
        self._nodes = nodes
        self._places = places
        self._everywhere = os.sched_getaffinity(0)
        self._is_pinned = False

    @property
    def is_pinned(self) -> bool:
        """Whether the daemons, and the programs that start now, have a CPU of their own."""
        return self._is_pinned

    def pin(self, wanted: bool) -> None:
        """Put the daemons on their CPUs, or let them run everywhere; programs that start later follow."""
        self._is_pinned = wanted and self._places is not None
        for number, node in enumerate(self._nodes):
            assert node.pid is not None
            move(node.pid, self._cpus_of_daemon(number))

    def _cpus_of_daemon(self, number: int) -> set[int]:
        if self._places is None or not self._is_pinned:
            return self._everywhere
        return {self._places.daemons[number % len(self._places.daemons)]}

    def ask(self, argv: Sequence[str], seconds: float) -> Any:
        """
        Run a program on the first node and return the object it prints.

        Args:
            argv: The program.
            seconds: How long it needs at most, by its own account.

        Raises:
            BenchmarkError: It failed, or hangs.
        """
        process = self._spawn(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            output, complaint = process.communicate(timeout=seconds + GRACE)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise BenchmarkError(f"{' '.join(argv)}: hangs; it said:\n{process.communicate()[1]}") from error
        if process.returncode != 0:
            raise BenchmarkError(f"{' '.join(argv)}: status {process.returncode}\n{complaint}")
        return json.loads(output)

    @contextmanager
    def running(self, argv: Sequence[str], count: int) -> Iterator[None]:
        """Have so many programs run beside what is measured; each has to end with its standard input."""
        with ExitStack() as stack:
            for _ in range(count):
                other = self._spawn(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
                assert other.stdin is not None
                stack.callback(other.wait, GRACE)
                stack.callback(other.stdin.close)
            yield

    def _spawn(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        if self._places is not None and self._is_pinned:
            argv = pinned(argv, self._places.client)
        return self._nodes[0].spawn(argv, cwd=CHECKOUT, **options)
