"""
What a test must not leave behind: our threads, descriptors, tasks, and files in the nodes' /dev/shm.

Tasks are looked at in the loop, before the test function returns: the runner cancels what is left right after. All
else is looked at when the fixtures that the test used have been taken down. Some of it goes a moment later (a thread
that closes a handle, a daemon that unlinks its files), so the look is repeated for a bounded time.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import anyio
import trio
import uvloop

from aiocpg.testing import ClusterNode
from support.loops import TestFunction, running_loop

PATIENCE = 10
"""Seconds that stragglers have."""

# libuv opens a pipe for signals with the first loop and keeps it for the process.
uvloop.new_event_loop().close()


class Leaks:
    """Remembers what there is and says later what is more."""

    def __init__(self, nodes: Sequence[ClusterNode]) -> None:
        self._nodes = nodes
        self._before = self._there_is()

    def check(self) -> None:
        """Fail when something is more than before and does not go away."""
        deadline = time.monotonic() + PATIENCE
        while more := self._there_is() - self._before:
            assert time.monotonic() < deadline, f"left behind: {dict(more)}"
            time.sleep(0.01)

    def _there_is(self) -> Counter[str]:
        gc.collect()
        return Counter([*_threads(), *_descriptors(), *self._files()])

    def _files(self) -> list[str]:
        return [f"/dev/shm of node {node.nodeid}: {name}" for node in self._nodes for name in node.shm_files()]


def _threads() -> list[str]:
    return [f"thread {thread.name}" for thread in threading.enumerate() if thread.name.startswith("aiocpg")]


def _descriptors() -> list[str]:
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:  # the descriptor that lists the directory, gone by now
            continue
        found.append("descriptor " + re.sub(r"\d+", "N", target))
    return found


def without_new_tasks(function: TestFunction) -> TestFunction:
    """Wrap a test function so that it fails when tasks outlive its body."""

    @functools.wraps(function)
    async def checked(*args: Any, **kwargs: Any) -> None:
        before = _tasks()
        await function(*args, **kwargs)
        with anyio.move_on_after(PATIENCE):
            while _tasks() > before:  # noqa: ASYNC110 - no event tells that somebody else's task has ended
                await anyio.sleep(0.01)
        assert _tasks() <= before, f"{_tasks() - before} tasks outlive the test"

    return checked


def _tasks() -> int:
    if running_loop() == "trio":
        return trio.lowlevel.current_statistics().tasks_living
    return len(asyncio.all_tasks())
