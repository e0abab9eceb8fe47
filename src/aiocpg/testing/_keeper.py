"""
The process that holds a test cluster: its namespaces, its bridges, its daemons. It runs as a child of the test process.

Nothing of a cluster has a name in the system. Namespaces live as long as a descriptor or a process in them, the bridges
live in a network namespace too, and files only in the nodes' private tmpfs. So when the keeper has ended, and with it
its daemons, the kernel has swept everything. The keeper ends when it is told to, when its socket closes, and when its
owner ends in any way; if it is killed itself, the daemons get SIGKILL from the kernel.

One request, one reply, each a packet of JSON on a Unix socket; descriptors travel along (SCM_RIGHTS). This file runs
under ``python -I -S`` for a quick start and must not import anything of the package but `_syscalls`.
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
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

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

    @property
    def identity(self) -> tuple[int, int]:
        status = os.fstat(self.net)
        return status.st_dev, status.st_ino


class Keeper:
    """The cluster's parts, and one method for each request of the owner."""

    def __init__(self, ip: str) -> None:
        unshare(CLONE_NEWNET | CLONE_NEWNS)
        make_private()
        self.ip = ip
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

    def configure(self, lines: Sequence[str]) -> None:
        """Have `ip` carry out `lines` in the network namespace this process is in now."""
        batch = "".join(f"{line}\n" for line in lines).encode()
        done = subprocess.run(
            [self.ip, "-batch", "-"], check=False, input=batch, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if done.returncode != 0:
            said = done.stdout.decode(errors="replace").strip()
            raise Failure(f"`ip` refused: {said}", "the kernel must have veth and bridge devices")

    def add_node(self, node: int, tmpfs: dict[str, str], links: Sequence[str]) -> Reply:
        """Make a node's namespaces; `links` configures its network, where {home} is the bridges' namespace."""
        unshare(CLONE_NEWNET | CLONE_NEWNS)
        try:
            for target, options in tmpfs.items():
                mount_tmpfs(target, options)
            self.configure([line.replace("{home}", f"/proc/{os.getpid()}/fd/{self.home.net}") for line in links])
            self.nodes[node] = place = Place()
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
        inside = {place.identity for place in self.nodes.values()}
        for daemon in self.daemons.values():
            daemon.kill()
        deadline = time.monotonic() + 10
        while _kill_inside(inside) and time.monotonic() < deadline:
            for daemon in self.daemons.values():
                daemon.poll()
            time.sleep(0.001)


def _die_with_keeper(keeper: int) -> Callable[[], None]:
    def before_exec() -> None:
        die_with_parent(signal.SIGKILL)
        if os.getppid() != keeper:  # it ended before the kernel was asked
            os._exit(1)

    return before_exec


def _kill_inside(namespaces: set[tuple[int, int]]) -> int:
    """SIGKILL every process whose network namespace is among these; returns how many there were."""
    killed = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            killed += _kill_if_inside(int(name), namespaces)
    return killed


def _kill_if_inside(pid: int, namespaces: set[tuple[int, int]]) -> bool:
    """The pidfd comes first, so that what is looked at and what is hit are the same process."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:  # it has ended
        return False
    try:
        status = os.stat(f"/proc/{pid}/ns/net")
        if (status.st_dev, status.st_ino) not in namespaces:
            return False
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        return True
    except OSError:  # it has ended, or has more rights than we and so is none of ours
        return False
    finally:
        os.close(pidfd)


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


def _serve(keeper: Keeper, control: socket.socket, owner: int) -> None:
    """Answer until the owner says "close", closes its end, or ends."""
    poller = select.poll()
    poller.register(control, select.POLLIN)
    poller.register(owner, select.POLLIN)
    while True:
        ready = [fd for fd, _ in poller.poll()]
        packet = b"" if owner in ready else control.recv(PACKET)
        if not packet or (request := json.loads(packet))["do"] == "close":
            return
        reply, fds = _answer(keeper, request)
        ours = reply.pop("close", [])
        socket.send_fds(control, [json.dumps(reply).encode()], fds)
        for fd in ours:
            os.close(fd)


def main() -> None:
    """Arguments: the control socket's descriptor, the owner's pid, the path of `ip`."""
    control = socket.socket(fileno=int(sys.argv[1]))
    owner = os.pidfd_open(int(sys.argv[2]))
    if os.getppid() != int(sys.argv[2]):  # it ended before the descriptor was there
        return
    try:
        keeper = Keeper(sys.argv[3])
    except OSError as error:
        control.send(json.dumps({"error": _explain(error)}).encode())
        return
    control.send(json.dumps({}).encode())
    try:
        _serve(keeper, control, owner)
    except (BrokenPipeError, ConnectionResetError):  # the owner ended while an answer was under way
        return
    finally:
        keeper.sweep()
