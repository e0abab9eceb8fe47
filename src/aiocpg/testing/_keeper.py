"""
The process that holds a test cluster: its namespaces, its bridges, its daemons. It is a child of the test process.

Nothing of a cluster has a name in the system. Namespaces live as long as a descriptor or a process in them, the bridges
live in a network namespace too, and files only in the nodes' private tmpfs. So when the keeper has ended, and with it
its daemons, the kernel has swept everything. The keeper ends when it is told to, when its socket closes, and when its
owner ends in any way; if it is killed itself, the daemons get SIGKILL from the kernel. What tests have started on nodes
would live on then, so there are two processes that watch each other: the guard, which does nothing but wait, and its
child, which does all else. Whichever is killed, and be it with the owner, the other one sweeps.

One request, one reply, each a packet of JSON on a Unix socket; descriptors travel along (SCM_RIGHTS). This file runs
under ``python -I -S`` for a quick start and must not import anything of the package but `_syscalls` and `_sweep`.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ._sweep import identity, kill_abandoned, kill_inside, mark
from ._syscalls import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    die_with_parent,
    make_private,
    mount_tmpfs,
    root,
    set_root,
    setns,
    unshare,
)

PACKET = 1 << 16
"""No request or answer is longer, in bytes."""

_TO_END = 10.0
"""Seconds for a daemon to end after SIGKILL; it takes milliseconds."""

Reply = tuple[dict[str, Any], list[int]]
"""An answer and the descriptors to send with it; "close" in it names those that are not to stay open here."""


class Failure(Exception):
    """What the owner shall raise: a reason and a cure."""


class Place:
    """The namespaces of one node, or the keeper's own, and the way into them."""

    def __init__(self) -> None:
        self.net = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.mnt = os.open("/proc/self/ns/mnt", os.O_RDONLY)
        self.root = root()

    def enter(self) -> None:
        setns(self.net, CLONE_NEWNET)
        setns(self.mnt, CLONE_NEWNS)
        set_root(self.root)


class Keeper:
    """The cluster's parts, and one method for each request of the owner."""

    def __init__(self, ip: str, guard: int, report: socket.socket) -> None:
        unshare(CLONE_NEWNET | CLONE_NEWNS)
        make_private()
        self.ip = ip
        self.guard = guard
        self.report = report
        self.home = Place()
        self.nodes: dict[int, Place] = {}
        self.daemons: dict[int, subprocess.Popen[bytes]] = {}
        self.side_of: dict[int, int] = {}
        self.bridges = 0

    @contextmanager
    def inside(self, place: Place) -> Iterator[None]:
        place.enter()
        try:
            yield
        finally:
            self.home.enter()

    def run(self, program: str, lines: Sequence[str], cure: str) -> None:
        """Have `ip` or `tc` carry out `lines` in the network namespace this process is in now."""
        batch = "".join(f"{line}\n" for line in lines).encode()
        done = subprocess.run(
            [program, "-batch", "-"], check=False, input=batch, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if done.returncode != 0:
            said = done.stdout.decode(errors="replace").strip()
            raise Failure(f"`{os.path.basename(program)}` refused: {said}", cure)

    def configure(self, lines: Sequence[str]) -> None:
        self.run(self.ip, lines, "the kernel must have veth and bridge devices")

    def configure_node(self, node: int | None, program: str, lines: Sequence[str], cure: str) -> Reply:
        """Change the network of a node, or that of the bridges where `node` is None."""
        with self.inside(self.home if node is None else self.nodes[node]):
            self.run(program, lines, cure)
        return {}, []

    def add_node(self, node: int, tmpfs: dict[str, str], links: Sequence[str]) -> Reply:
        """Make a node's namespaces; `links` configures its network, where {home} is the bridges' namespace."""
        unshare(CLONE_NEWNET | CLONE_NEWNS)
        try:
            for target, options in tmpfs.items():
                mount_tmpfs(target, options)
            self.configure([line.replace("{home}", f"/proc/{os.getpid()}/fd/{self.home.net}") for line in links])
            mark(self.guard)
            self.nodes[node] = place = Place()
            socket.send_fds(self.report, [b"n"], [place.net])
            roots = [os.open(target, os.O_RDONLY | os.O_DIRECTORY) for target in tmpfs]
        finally:
            self.home.enter()
        return {"close": roots}, [place.net, place.mnt, place.root, *roots]

    def connect(self, sides: Sequence[Sequence[int]]) -> Reply:
        """Plug each node into the bridge of its side. Ports that stay where they are see nothing of it."""
        lines = []
        for number in range(self.bridges, len(sides)):
            lines += [f"link add name side{number} type bridge", f"link set dev side{number} up"]
        wanted = {node: number for number, side in enumerate(sides) for node in side}
        for node, number in wanted.items():
            if self.side_of.get(node) != number:
                lines.append(f"link set dev port{node} up master side{number}")
        if lines:
            self.configure(lines)
        self.bridges = max(self.bridges, len(sides))
        self.side_of.update(wanted)
        return {}, []

    def start_daemon(self, node: int, argv: Sequence[str], log: str) -> Reply:
        """Start a node's daemon. Its pid stays taken until `reap`, so that no signal can hit a stranger."""
        with self.inside(self.nodes[node]), open(log, "ab") as output:
            daemon = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=_die_with_keeper(os.getpid()),  # noqa: PLW1509 - the keeper has one thread
            )
        self.daemons[node] = daemon
        pidfd = os.pidfd_open(daemon.pid)
        return {"pid": daemon.pid, "close": [pidfd]}, [pidfd]

    def reap(self, node: int) -> Reply:
        """Wait for a daemon that has ended."""
        return {"status": self.daemons.pop(node).wait()}, []

    def sweep(self) -> None:
        """Kill all that still runs on the nodes, whoever started it."""
        for daemon in self.daemons.values():
            daemon.kill()
        kill_inside([identity(place.net) for place in self.nodes.values()], self.poll)
        # A process that has just ended is in no namespace any more, yet its pid is taken until somebody has waited.
        for daemon in self.daemons.values():
            daemon.wait(_TO_END)

    def poll(self) -> None:
        """Take note of daemons that have ended; until then they count as there."""
        for daemon in self.daemons.values():
            daemon.poll()


def _die_with_keeper(keeper: int) -> Callable[[], None]:
    def before_exec() -> None:
        die_with_parent(signal.SIGKILL)
        if os.getppid() != keeper:  # it ended before the kernel was asked
            os._exit(1)

    return before_exec


def _answer(keeper: Keeper, request: dict[str, Any]) -> Reply:
    """Carry out one request; what goes wrong becomes the owner's error."""
    method = getattr(keeper, request.pop("do"))
    try:
        reply: Reply = method(**request)
        return reply
    except Failure as failure:
        return {"error": failure.args}, []
    except OSError as error:
        return {"error": _explain(error)}, []


def _explain(error: OSError) -> tuple[str, str]:
    reason = f"{error.filename or 'a system call'} failed: {error.strerror}"
    if error.errno in (errno.EPERM, errno.EACCES):
        return reason, "run as root; a container needs the capabilities SYS_ADMIN and NET_ADMIN"
    if error.errno == errno.ENOENT:
        return reason, "create it; installing the package corosync does"
    return reason, "see whether the kernel has network and mount namespaces, tmpfs, and memory to spare"


def _serve(keeper: Keeper, control: socket.socket, ends: Sequence[int]) -> None:
    """Answer until the owner says "close" or closes its end, or one of the processes behind `ends` ends."""
    poller = select.poll()
    for fd in [control.fileno(), *ends]:
        poller.register(fd, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poller.poll()}
        packet = b"" if ready & set(ends) else control.recv(PACKET)
        if not packet or (request := json.loads(packet))["do"] == "close":
            return
        reply, fds = _answer(keeper, request)
        ours = reply.pop("close", [])
        socket.send_fds(control, [json.dumps(reply).encode()], fds)
        for fd in ours:
            os.close(fd)


def _keep(control: socket.socket, ip: str, ends: Sequence[int], guard: int, report: socket.socket) -> None:
    try:
        keeper = Keeper(ip, guard, report)
    except OSError as error:
        control.send(json.dumps({"error": _explain(error)}).encode())
        return
    control.send(json.dumps({}).encode())
    try:
        _serve(keeper, control, ends)
    except (BrokenPipeError, ConnectionResetError):  # the owner ended while an answer was under way
        return
    finally:
        keeper.sweep()


def _stand_guard(keeper: int, reports: socket.socket) -> None:
    """
    Wait for the keeper's end, and sweep what it could not, should it have been killed.

    What it has reported are descriptors, which wait in the socket and keep the namespaces: the number of one that is no
    more is given to the next, and that may be a neighbour's.
    """
    kill_abandoned()
    os.waitpid(keeper, 0)
    networks: list[int] = []
    while (reported := socket.recv_fds(reports, 1, 1))[0]:
        networks += reported[1]
    kill_inside([identity(fd) for fd in networks])


def main() -> None:
    """Arguments: the control socket's descriptor, the owner's pid, the path of `ip`."""
    control, guard = socket.socket(fileno=int(sys.argv[1])), os.getpid()
    ends = [os.pidfd_open(int(sys.argv[2])), os.pidfd_open(guard)]
    if os.getppid() != int(sys.argv[2]):  # it ended before the descriptor was there
        return
    reports, report = socket.socketpair()
    if (keeper := os.fork()) == 0:
        reports.close()
        _keep(control, sys.argv[3], ends, guard, report)
        return
    control.close()
    report.close()
    _stand_guard(keeper, reports)
