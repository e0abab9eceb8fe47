"""The owner's side of the keeper: start it, ask it, end it. What the keeper does is told in `_keeper`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from . import _privileges
from ._errors import ClusterError
from ._keeper import PACKET

# The keeper must start quickly, whatever this package imports: so a bare interpreter, and a package made on the spot
# that has nothing but this folder in it.
_BOOTSTRAP = """
import sys, types
package = types.ModuleType("testing")
package.__path__ = [sys.argv.pop(1)]
sys.modules["testing"] = package
from testing._keeper import main
main()
"""

_TIMEOUT = 20.0
"""Seconds for the keeper to answer, or to end; it needs milliseconds."""


def find_program(name: str, package: str) -> str:
    """The path of a program that may stand where only root looks, or an error that names its package."""
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))
    if path is None:
        raise ClusterError(f"the program `{name}` is not installed", f"install it, on Debian: apt install {package}")
    return path


class Control:
    """The keeper process and the socket to it. Its methods may be called from any thread."""

    def __init__(self) -> None:
        """Start a keeper; returns when it has its own namespaces."""
        _privileges.check()
        self.ip = find_program("ip", "iproute2")
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(_TIMEOUT)
        with theirs:
            bootstrap = ["-I", "-S", "-c", _BOOTSTRAP, str(Path(__file__).parent)]
            argv = [sys.executable, *bootstrap, str(theirs.fileno()), str(os.getpid()), self.ip]
            # A session of its own, so that Ctrl-C reaches the test process, which then closes in order.
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        try:
            self._receive()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, do: str, **arguments: Any) -> tuple[dict[str, Any], list[int]]:
        """Have the keeper do something; returns its answer and the descriptors that came with it."""
        with self._lock:
            try:
                self._socket.send(json.dumps({"do": do, **arguments}).encode())
            except OSError as error:
                raise _lost(error.strerror) from error
            return self._receive()

    def _receive(self) -> tuple[dict[str, Any], list[int]]:
        try:
            packet, fds, _, _ = socket.recv_fds(self._socket, PACKET, 8, socket.MSG_CMSG_CLOEXEC)
        except OSError as error:
            raise _lost(error.strerror or "no answer") from error
        if not packet:
            raise _lost("it has ended")
        reply = json.loads(packet)
        if "error" in reply:
            raise ClusterError(*reply["error"])
        return reply, fds

    def close(self) -> None:
        """End the keeper and all on its nodes; returns when they are gone. In a forked child do nothing."""
        if os.getpid() != self._owner:
            return
        # Said aloud, for a forked child may hold a copy of the socket and keep it open. It may have ended already.
        with contextlib.suppress(OSError):
            self._socket.send(json.dumps({"do": "close"}).encode())
        self._socket.close()
        try:
            self._process.wait(_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise ClusterError(f"the keeper had not ended after {_TIMEOUT:.0f} s", "look for stuck processes") from None


def _lost(how: str | None) -> ClusterError:
    return ClusterError(f"the cluster's keeper process is lost ({how})", "see its words on stderr; start a new cluster")
