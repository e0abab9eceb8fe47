"""One node of a test cluster: its daemon, the faults done to it, and the ways into its namespaces."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from aiocpg import Connection, Opening
from aiocpg._connection import connect_entering

from . import _conf
from ._control import Control, find_program
from ._daemon import Daemon
from ._errors import ClusterError
from ._log import DaemonLog
from ._syscalls import CLONE_FS, CLONE_NEWNET, CLONE_NEWNS, set_root, setns, unshare

T = TypeVar("T")

_POLL_INTERVAL = 0.005
"""Seconds between two looks at a log."""


class ClusterNode:
    """
    One node. A :class:`CorosyncCluster` makes it; its methods may be called from any thread.

    Attributes:
        nodeid: Its number, from 1.
    """

    def __init__(self, nodeid: int, control: Control, settings: _conf.Settings) -> None:
        self.nodeid = nodeid
        self._control = control
        self._corosync = find_program("corosync", "corosync")
        self._cpgtool = find_program("corosync-cpgtool", "corosync")
        tmpfs = {
            "/run": "mode=755,size=64M",
            "/var/lib/corosync": "mode=700,size=64M",
            "/dev/shm": f"mode=1777,size={settings.shm_size}",
        }
        links = _conf.network_lines(settings, nodeid)
        _, self._fds = control.ask("add_node", node=nodeid, tmpfs=tmpfs, links=links)
        self._net, self._mnt, self._root, run, _, self._shm = self._fds
        self._lock = threading.RLock()
        self._daemon: Daemon | None = None
        self._log = DaemonLog(self._make_directory(run, settings), "corosync.log")

    def _make_directory(self, run: int, settings: _conf.Settings) -> int:
        """Put a directory with the configuration into the node's /run; returns its descriptor."""
        name = _conf.DIRECTORY.removeprefix("/run/")
        os.mkdir(name, dir_fd=run)
        directory = os.open(name, os.O_RDONLY, dir_fd=run)
        self._fds.append(directory)
        with open(os.open("corosync.conf", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=directory), "w") as file:
            file.write(_conf.corosync_conf(settings))
        return directory

    def __repr__(self) -> str:
        return f"<ClusterNode {self.nodeid} pid={self.pid}>"

    # -- What can be seen of it

    @property
    def pid(self) -> int | None:
        """The daemon's process id; None when it was seen to be gone, see :meth:`wait_gone`."""
        daemon = self._daemon
        return None if daemon is None else daemon.pid

    @property
    def log(self) -> str:
        """All that the node's daemons have logged or printed so far."""
        return self._log.text()

    @property
    def members(self) -> tuple[int, ...]:
        """The nodes on this daemon's ring, by its own log; empty while services still synchronise."""
        with self._lock:
            self._log.follow()
            return self._log.members if self._log.is_synced else ()

    @property
    def rss(self) -> int:
        """Bytes of memory the daemon has resident."""
        return self._running().resident()

    def shm_files(self) -> list[str]:
        """The files in the node's /dev/shm, sorted: libqb's ring buffers, in a directory per client, and blackbox."""
        walk = os.fwalk(".", dir_fd=self._shm)
        return sorted(os.path.normpath(os.path.join(folder, name)) for folder, _, names, _ in walk for name in names)

    # -- Ways in

    def enter(self) -> None:
        """
        Move the calling thread into this node, for good. Call it in a fresh daemon thread that does nothing else.

        From then on the thread has the node's network, /run and /dev/shm, and a working directory of its own. What it
        opens works from any thread: after `cpg_initialize` here, the handle is an ordinary one.

        Raises:
            RuntimeError: Called in the main thread, which could never come back.
        """
        if threading.current_thread() is threading.main_thread():
            raise RuntimeError("enter() moves a thread for good: call it in a fresh daemon thread, not in the main one")
        setns(self._net, CLONE_NEWNET)
        unshare(CLONE_FS)  # setns refuses a mount namespace to a thread that shares its root with others
        setns(self._mnt, CLONE_NEWNS)
        set_root(self._root)

    def connect(
        self, *, connect_timeout: float | None = 10, close_timeout: float = 5, daemon_uid: int | None = None
    ) -> Opening[Connection]:
        """
        Connect this very process to the node's daemon; otherwise as :func:`aiocpg.connect`.

        A process may be a member on several nodes at once this way, each time with the node's id and its own pid.
        """
        return connect_entering(
            self.enter,
            "corosync://",
            connect_timeout=connect_timeout,
            close_timeout=close_timeout,
            daemon_uid=daemon_uid,
        )

    def _inside(self, function: Callable[[], T]) -> T:
        """Run `function` on this node, in a thread that ends with it."""
        outcome: Future[T] = Future()

        def run() -> None:
            try:
                self.enter()
                outcome.set_result(function())
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
                outcome.set_exception(error)

        threading.Thread(target=run, name=f"node {self.nodeid}", daemon=True).start()
        return outcome.result()

    def spawn(self, argv: Sequence[str | os.PathLike[str]], **popen_kwargs: Any) -> subprocess.Popen[Any]:
        """
        Start a program on this node. It is a child like any other, except that it ends with the cluster.

        Args:
            argv: The program and its arguments; the program is looked up on this node.
            popen_kwargs: As for :class:`subprocess.Popen`.
        """
        here = os.getcwd()

        def start() -> subprocess.Popen[Any]:
            os.chdir(here)  # entering a node leads to its root
            return subprocess.Popen(argv, **popen_kwargs)

        return self._inside(start)

    # -- The daemon, and faults

    def start(self) -> None:
        """
        Start the daemon, again after it has ended. Returns at once; :meth:`wait_ready` waits.

        Raises:
            ClusterError: It still runs.
        """
        argv = [self._corosync, "-f", "-c", f"{_conf.DIRECTORY}/corosync.conf"]
        log = f"{_conf.DIRECTORY}/corosync.log"
        with self._lock:
            self._reap()
            if self._daemon is not None:
                raise ClusterError(f"{self} still runs corosync", "kill() or terminate() it, then wait_gone()")
            self._log.restart()
            reply, [pidfd] = self._control.ask("start_daemon", node=self.nodeid, argv=argv, log=log)
            self._daemon = Daemon(reply["pid"], pidfd)

    def wait_ready(self, timeout: float = 30) -> None:
        """
        Wait until the daemon has formed a ring, with whomever it found, and lets CPG clients in.

        Args:
            timeout: Seconds.

        Raises:
            ClusterError: It has ended, or took longer; the text has its log.
        """
        deadline = time.monotonic() + timeout
        while not (self.members and self._serves(deadline)):
            self._check_wait(deadline, f"was not ready after {timeout:.0f} s")
            time.sleep(_POLL_INTERVAL)

    def wait_members(self, *nodeids: int, timeout: float = 30) -> None:
        """
        Wait until the daemon's ring is of exactly these nodes.

        Args:
            nodeids: The nodes, this one among them.
            timeout: Seconds.

        Raises:
            ClusterError: It has ended, or took longer; the text has its log.
        """
        deadline = time.monotonic() + timeout
        wanted = tuple(sorted(nodeids))
        while self.members != wanted:
            self._check_wait(deadline, f"was not on a ring of {wanted} after {timeout:.0f} s")
            time.sleep(_POLL_INTERVAL)

    def wait_gone(self, timeout: float = 30) -> None:
        """
        Wait until the daemon has ended; :attr:`pid` is None then. Its tmpfs stays as it left it.

        Args:
            timeout: Seconds.

        Raises:
            ClusterError: It took longer.
        """
        daemon = self._daemon
        if daemon is not None and not daemon.has_ended(timeout):
            raise ClusterError(f"corosync on node {self.nodeid} runs on after {timeout:.0f} s", f"its log:\n{self.log}")
        self._reap()

    def kill(self) -> None:
        """SIGKILL the daemon: a crash."""
        self._running().send(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM the daemon: it takes leave of the others and ends."""
        self._running().send(signal.SIGTERM)

    def stop(self) -> None:
        """SIGSTOP the daemon; returns when it stands still. The others lose it when its token timeout is over."""
        daemon = self._running()
        daemon.send(signal.SIGSTOP)
        # Any of its threads may be the one to take the signal; until that is scheduled the others run on.
        while not daemon.stands_still():
            time.sleep(_POLL_INTERVAL)

    def cont(self) -> None:
        """SIGCONT the daemon: it goes on, and finds its way back."""
        self._running().send(signal.SIGCONT)

    def _running(self) -> Daemon:
        daemon = self._daemon
        if daemon is None:
            raise ClusterError(f"no corosync runs on node {self.nodeid}", "start() it first")
        return daemon

    def _serves(self, deadline: float) -> bool:
        """Whether a CPG client gets in: the daemon logs that it is ready a moment before it is."""
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        probe = self.spawn([self._cpgtool, "-n"], **quiet)
        try:
            return probe.wait(max(0.0, deadline - time.monotonic())) == 0
        except subprocess.TimeoutExpired:  # a stopped daemon lets it wait forever
            probe.kill()
            return probe.wait() == 0

    def _check_wait(self, deadline: float, complaint: str) -> None:
        """Raise if waiting for the daemon is hopeless or has taken too long."""
        if self._running().has_ended():
            complaint = "has ended"
        elif time.monotonic() < deadline:
            return
        raise ClusterError(f"corosync on node {self.nodeid} {complaint}", f"its log:\n{self.log}")

    def _reap(self) -> None:
        with self._lock:
            if self._daemon is not None and self._daemon.has_ended():
                self._control.ask("reap", node=self.nodeid)
                self._daemon = None

    def _close(self) -> None:
        """Let go of the namespaces; the cluster calls it when the keeper has ended."""
        self._log.close()
        for fd in self._fds:
            os.close(fd)
        self._fds, self._daemon = [], None
        self._net = self._mnt = self._shm = -1
