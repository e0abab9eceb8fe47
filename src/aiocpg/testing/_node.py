"""One node of a test cluster: its daemon, the faults done to it, and the ways into its namespaces."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import Any

from aiocpg import Connection, Opening, Reconnect
from aiocpg._connection import connect_entering

from . import _conf, _links, _shm
from ._control import Control, find_program
from ._daemon import Daemon
from ._entrance import Entrance
from ._errors import ClusterError
from ._log import DaemonLog
from ._waiting import INTERVAL, Steps, until, wait


class ClusterNode:
    """
    One node. A :class:`CorosyncCluster` makes it; its methods may be called from any thread.

    What is done to it is quick and never waits for the daemon. Waiting is apart: `wait_...` blocks the thread,
    `until_...` is the same for coroutines.

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
        links = _links.network_lines(settings.nodeids, nodeid)
        _, self._fds = control.ask("add_node", node=nodeid, tmpfs=tmpfs, links=links)
        net, mnt, root, run, _, self._shm = self._fds
        self._entrance = Entrance(net, mnt, root)
        self._lock = threading.RLock()
        self._daemon: Daemon | None = None
        self._is_ending = False
        self._shape = _links.Shape()
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
        """
        The nodes on this daemon's ring, sorted, by its own log; empty while services synchronise and where none runs.
        """
        with self._lock:
            if self._daemon is None or self._is_ending or self._daemon.has_ended():
                return ()
            self._log.follow()
            return self._log.members if self._log.is_synced else ()

    @property
    def _ring(self) -> str:
        """The id of the ring that :attr:`members` are on."""
        with self._lock:
            self._log.follow()
            return self._log.ring

    @property
    def rss(self) -> int:
        """Bytes of memory the daemon has resident."""
        return self._running().resident()

    def shm_files(self) -> list[str]:
        """The files in the node's /dev/shm, sorted: libqb's ring buffers, in a directory per client, and blackbox."""
        return _shm.files(self._shm)

    # -- Ways in

    def enter(self) -> None:
        """
        Move the calling thread into this node, for good. Call it in a fresh daemon thread that does nothing else.

        From then on the thread has the node's network, /run and /dev/shm, and a working directory of its own. What it
        opens works from any thread: after `cpg_initialize` here, the handle is an ordinary one.

        Raises:
            RuntimeError: Called in the main thread, which could never come back.
        """
        self._entrance.enter()

    def connect(
        self,
        *,
        connect_timeout: float | None = 10,
        close_timeout: float = 5,
        reconnect: bool | Reconnect | None = None,
        stall_after: float | None = None,
        daemon_uid: int | None = None,
        uid: int | None = None,
    ) -> Opening[Connection]:
        """
        Connect this very process to the node's daemon; otherwise as :func:`aiocpg.connect`.

        A process may be a member on several nodes at once this way, each time with the node's id and its own pid.

        Args:
            uid: Connect as this user, and as the group of the same number: only the threads that open handles take
                them. The daemon refuses users other than root whom `extra_uidgid` does not name.

        Raises:
            ClusterError: There is no such user in this user namespace.
        """
        return connect_entering(
            self._entrance.entering_as(uid),
            "corosync://",
            connect_timeout=connect_timeout,
            close_timeout=close_timeout,
            reconnect=reconnect,
            stall_after=stall_after,
            daemon_uid=daemon_uid,
        )

    def spawn(self, argv: Sequence[str | os.PathLike[str]], **popen_kwargs: Any) -> subprocess.Popen[Any]:
        """
        Start a program on this node. It is a child like any other, except that it ends with the cluster.

        Args:
            argv: The program and its arguments; the program is looked up on this node.
            popen_kwargs: As for :class:`subprocess.Popen`. The environment is ours unless ``env`` is given, but
                for ``AIOCPG_URL``, which leads to this node's daemon.
        """
        if popen_kwargs.get("env") is None:
            popen_kwargs["env"] = os.environ | {"AIOCPG_URL": "corosync://"}
        return self._entrance.spawn(argv, **popen_kwargs)

    # -- Waiting

    def wait_ready(self, timeout: float = 30) -> None:
        """
        Wait until the daemon has formed a ring, with whomever it found, and lets CPG clients in.

        Args:
            timeout: Seconds.

        Raises:
            ClusterError: It has ended, or took longer; the text has its log.
        """
        wait(self._getting_ready(time.monotonic() + timeout))

    async def until_ready(self, timeout: float = 30) -> None:  # noqa: ASYNC109 - with the log
        """As :meth:`wait_ready`, for coroutines; cancelling ends the wait at once and changes nothing."""
        await until(self._getting_ready(time.monotonic() + timeout))

    def wait_members(self, *nodeids: int, timeout: float = 30) -> None:
        """
        Wait until the daemon's ring is of exactly these nodes.

        Args:
            nodeids: The nodes, this one among them.
            timeout: Seconds.

        Raises:
            ClusterError: It has ended, or took longer; the text has its log.
        """
        wait(self._getting_members(nodeids, time.monotonic() + timeout))

    async def until_members(self, *nodeids: int, timeout: float = 30) -> None:  # noqa: ASYNC109 - with the log
        """As :meth:`wait_members`, for coroutines; cancelling ends the wait at once and changes nothing."""
        await until(self._getting_members(nodeids, time.monotonic() + timeout))

    def wait_gone(self, timeout: float = 30) -> None:
        """
        Wait until the daemon has ended; :attr:`pid` is None then. Its tmpfs stays as it left it.

        Args:
            timeout: Seconds.

        Raises:
            ClusterError: It took longer.
        """
        wait(self._ending(time.monotonic() + timeout))

    async def until_gone(self, timeout: float = 30) -> None:  # noqa: ASYNC109 - with the log
        """As :meth:`wait_gone`, for coroutines; cancelling ends the wait at once and changes nothing."""
        await until(self._ending(time.monotonic() + timeout))

    def _getting_ready(self, deadline: float) -> Steps[None]:
        while True:
            while not self.members:
                self._check_wait(deadline, "was not ready in time")
                yield
            if (yield from self._serving(deadline)):
                return

    def _getting_members(self, nodeids: Sequence[int], deadline: float) -> Steps[None]:
        if self.nodeid not in nodeids:
            raise ValueError(f"node {self.nodeid} is on no ring without itself: {nodeids}")
        wanted = tuple(sorted(nodeids))
        while self.members != wanted:
            self._check_wait(deadline, f"was not on a ring of {wanted} in time")
            yield

    def _ending(self, deadline: float) -> Steps[None]:
        daemon = self._daemon
        while daemon is not None and not daemon.has_ended():
            if time.monotonic() > deadline:
                raise ClusterError(f"corosync on node {self.nodeid} runs on", f"its log:\n{self.log}")
            yield
        self._reap()

    def _serving(self, deadline: float) -> Steps[bool]:
        """Whether a CPG client gets in: the daemon logs that it is ready a moment before it is."""
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        probe = self.spawn([self._cpgtool, "-n"], **quiet)
        try:
            while probe.poll() is None:  # a stopped daemon lets it wait forever
                self._check_wait(deadline, "did not let a CPG client in")
                yield
        finally:
            probe.kill()
            probe.wait()
        while _shm.has_client(self._shm, probe.pid):  # the daemon takes a moment to free what the probe has had
            self._check_wait(deadline, "did not free a CPG client's rings")
            yield
        return probe.returncode == 0

    def _check_wait(self, deadline: float, complaint: str) -> None:
        """Raise if waiting for the daemon is hopeless or has taken too long."""
        if self._running().has_ended():
            complaint = "has ended"
        elif time.monotonic() < deadline:
            return
        raise ClusterError(f"corosync on node {self.nodeid} {complaint}", f"its log:\n{self.log}")

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
            self._daemon, self._is_ending = Daemon(reply["pid"], pidfd), False

    def kill(self) -> None:
        """SIGKILL the daemon: a crash."""
        self._is_ending = True
        self._running().send(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM the daemon: it takes leave of the others and ends."""
        self._is_ending = True
        self._running().send(signal.SIGTERM)

    def stop(self) -> None:
        """SIGSTOP the daemon; returns when it stands still. The others lose it when its token timeout is over."""
        daemon = self._running()
        daemon.send(signal.SIGSTOP)
        # Any of its threads may be the one to take the signal; until that is scheduled the others run on.
        while not daemon.stands_still():
            time.sleep(INTERVAL)

    def cont(self) -> None:
        """SIGCONT the daemon: it goes on, and finds its way back."""
        self._running().send(signal.SIGCONT)

    def limit_rate(self, bits_per_second: int | None) -> None:
        """
        Limit the bandwidth of the node's link, each way; None undoes it, and so does the cluster's ``heal()``.

        What exceeds it waits in a queue of 256 KiB and is dropped beyond. Replaces what :meth:`degrade` did.

        Args:
            bits_per_second: At least 8000. A token that takes longer than its timeout breaks the ring.

        Raises:
            ClusterError: The kernel has no module sch_tbf, or `tc` is not installed.
        """
        self._reshape(_links.Shape() if bits_per_second is None else _links.limited(bits_per_second))

    def degrade(self, *, delay: float = 0, loss: float = 0, reorder: float = 0) -> None:
        """
        Make the node's link a bad one, each way; without arguments undo it, as the cluster's ``heal()`` does.

        It takes the kernel's module sch_netem, which the machines that test this library have not: **untested** but for
        the error. Replaces what :meth:`limit_rate` did.

        Args:
            delay: Of every packet, in seconds.
            loss: The part of the packets that is lost, 0 to 1.
            reorder: The part of the packets that overtakes the delayed others, 0 to 1; needs a delay.

        Raises:
            ClusterError: The kernel has no module sch_netem, or `tc` is not installed.
        """
        self._reshape(_links.degraded(delay, loss, reorder))

    def _reshape(self, shape: _links.Shape) -> None:
        with self._lock:
            if shape == self._shape:
                return
            program = find_program("tc", "iproute2")
            cure = (shape if shape.kind else self._shape).cure
            for node, device in ((self.nodeid, _links.DEVICE), (None, _links.port(self.nodeid))):
                self._control.ask("configure_node", node=node, program=program, lines=[shape.line(device)], cure=cure)
            self._shape = shape

    def fill_shm(self, leave: int = 0) -> None:
        """
        Fill the node's /dev/shm, with memory that is really taken; :meth:`free_shm` undoes it.

        Args:
            leave: Bytes to leave free, rounded down to whole pages. A CPG client takes 3.3 MB.
        """
        _shm.fill(self._shm, leave)

    def free_shm(self) -> None:
        """Undo :meth:`fill_shm`; without one before it does nothing."""
        _shm.free(self._shm)

    def _restoring(self, deadline: float) -> Steps[None]:
        """Undo the faults of the node itself; what follows from that, the cluster waits for."""
        self.free_shm()
        if self._daemon is not None:
            self.cont()
            if self._is_ending:
                yield from self._ending(deadline)
        self._reap()
        if self._daemon is None:
            self.start()
        _shm.tidy(self._shm, self.pid)

    def _running(self) -> Daemon:
        daemon = self._daemon
        if daemon is None:
            raise ClusterError(f"no corosync runs on node {self.nodeid}", "start() it first")
        return daemon

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
        self._entrance, self._shm = Entrance(-1, -1, -1), -1
