"""The ways into a node's namespaces: for a thread, for a call, for a program, and for another user's connection."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ._errors import ClusterError
from ._syscalls import CLONE_FS, CLONE_NEWNET, CLONE_NEWNS, become, set_root, setns, unshare
from ._waiting import start_thread

T = TypeVar("T")


class Entrance:
    """Descriptors of a node's network namespace, mount namespace and root; whoever made them closes them."""

    def __init__(self, net: int, mnt: int, root: int) -> None:
        self._net, self._mnt, self._root = net, mnt, root

    def enter(self) -> None:
        """Move the calling thread inside, for good; see :meth:`ClusterNode.enter`."""
        if threading.current_thread() is threading.main_thread():
            raise RuntimeError("enter() moves a thread for good: call it in a fresh daemon thread, not in the main one")
        setns(self._net, CLONE_NEWNET)
        unshare(CLONE_FS)  # setns refuses a mount namespace to a thread that shares its root with others
        setns(self._mnt, CLONE_NEWNS)
        set_root(self._root)

    def entering_as(self, uid: int | None) -> Callable[[], None]:
        """What takes a fresh thread inside, as another user if `uid` is one. Raises ClusterError if it cannot be."""
        if uid is None:
            return self.enter
        check_user(uid)

        def enter() -> None:
            self.enter()
            become(uid)

        return enter

    def call(self, function: Callable[[], T]) -> T:
        """Call `function` inside, in a thread that ends with it."""

        def inside() -> T:
            self.enter()
            return function()

        return start_thread(inside).result()

    def spawn(self, argv: Sequence[str | os.PathLike[str]], **popen_kwargs: Any) -> subprocess.Popen[Any]:
        """Start a program inside, in our working directory; see :meth:`ClusterNode.spawn`."""
        here = os.getcwd()

        def start() -> subprocess.Popen[Any]:
            os.chdir(here)  # entering a node leads to its root
            return subprocess.Popen(argv, **popen_kwargs)

        return self.call(start)


def check_user(uid: int) -> None:
    """Raise ClusterError where this process cannot have a thread of that user and of the group of that number."""
    for kind in ("uid", "gid"):
        lines = Path(f"/proc/self/{kind}_map").read_text().splitlines()
        ranges = [(int(first), int(count)) for first, _, count in map(str.split, lines)]
        if not any(first <= uid < first + count for first, count in ranges):
            raise ClusterError(
                f"there is no {kind} {uid} in this user namespace",
                "it has one user only, as that of `python -m aiocpg.testing` has: run this test as root",
            )
