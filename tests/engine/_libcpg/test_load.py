"""Loading libcpg: late, and with a clear word where it is missing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from aiocpg.engine._libcpg import binding
from aiocpg.testing import ClusterNode
from support.handles import SOURCE, finish, python

# Argument 1 is the library's path; the rest is run with an empty file in its place.
HIDE = 'mount --bind /dev/null "$0" && exec "$@"'


def library() -> str:
    """Return the path that libcpg was loaded from."""
    binding.load()
    with open("/proc/self/maps", encoding="utf-8") as maps:
        return next(line.split(maxsplit=5)[5].strip() for line in maps if "libcpg.so" in line)


def without_libcpg(node: ClusterNode, code: str) -> str:
    """Run Python on a node where libcpg cannot be loaded, in a mount namespace of its own."""
    # The mounts of a node are private already, so those of a copy stay where they are made, also in a chroot.
    alone = ["unshare", "--mount", "--propagation=unchanged", "sh", "-c", HIDE, library()]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with node.spawn([*alone, sys.executable, "-c", code], env=environment, text=True, **pipes) as process:
        out, error = process.communicate(timeout=30)
    assert process.returncode == 0, error
    assert error == ""
    return str(out)


def test_package_imports_when_libcpg_is_missing(node: ClusterNode) -> None:
    """A program can be installed and tested where Corosync is not."""
    assert without_libcpg(node, "import aiocpg, aiocpg.lowlevel; print('imported')") == "imported\n"


@pytest.mark.parametrize(
    "call", ["load()", "initialize(0)", "join(7, b'g')", "fd_get(7)", "iteration_next(7)", "max_atomic_msgsize_get(7)"]
)
def test_call_names_the_cure_when_libcpg_is_missing(node: ClusterNode, call: str) -> None:
    """The first call says what is missing and which package has it; waiting will not help."""
    out = without_libcpg(
        node,
        "from aiocpg.engine._libcpg import binding\n"
        "from aiocpg.errors import EngineUnavailableError\n"
        f"try:\n    binding.{call}\n"
        "except EngineUnavailableError as error:\n    print(error.transient, error)",
    )
    assert out.startswith("False libcpg cannot be loaded: ")
    for word in ("libcpg.so.4", "libcpg4", "Debian", "corosynclib", "Fedora", "Arch", "AIOCPG_URL=local://"):
        assert word in out


def test_hot_calls_refuse_any_handle_when_nothing_is_loaded() -> None:
    """Without the library there are no handles, and no crash either."""
    code = (
        "from aiocpg.engine._libcpg import binding\n"
        "from aiocpg.errors import StatusError\n"
        "print(*binding.drain(7, binding.Arena(), 1, 1), *binding.dispatch(7, binding.Arena(), 4))\n"
        "try:\n    binding.Guard(7, 0)\nexcept StatusError as error:\n    print(error.name)"
    )
    assert finish(python(code)) == "9 [] 9 []\nCS_ERR_BAD_HANDLE\n"
