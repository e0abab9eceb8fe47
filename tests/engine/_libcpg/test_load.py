"""Loading libcpg and libquorum: late, and with a clear word where one is missing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from aiocpg.engine._libcpg import binding, quorum
from aiocpg.testing import ClusterNode
from support.handles import SOURCE, finish, python
from support.standstills import without_standstills

# Argument 1 is the library's path; the rest is run with an empty file in its place.
HIDE = 'mount --bind /dev/null "$0" && exec "$@"'


def library(name: str) -> str:
    """Return the path that a library was loaded from."""
    binding.load()
    quorum.load()
    with open("/proc/self/maps", encoding="utf-8") as maps:
        return next(line.split(maxsplit=5)[5].strip() for line in maps if f"/{name}.so" in line)


def without(name: str, node: ClusterNode, code: str) -> str:
    """Run Python on a node where a library cannot be loaded, in a mount namespace of its own."""
    # The mounts of a node are private already, so those of a copy stay where they are made, also in a chroot.
    alone = ["unshare", "--mount", "--propagation=unchanged", "sh", "-c", HIDE, library(name)]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with node.spawn([*alone, sys.executable, "-c", code], env=environment, text=True, **pipes) as process:
        out, error = process.communicate(timeout=30)
    assert process.returncode == 0, error
    assert without_standstills(error) == ""
    return str(out)


def test_package_imports_when_libcpg_is_missing(node: ClusterNode) -> None:
    """A program can be installed and tested where Corosync is not."""
    assert without("libcpg", node, "import aiocpg, aiocpg.lowlevel; print('imported')") == "imported\n"


@pytest.mark.parametrize(
    "call", ["load()", "initialize(0)", "join(7, b'g')", "fd_get(7)", "iteration_next(7)", "max_atomic_msgsize_get(7)"]
)
def test_call_names_the_cure_when_libcpg_is_missing(node: ClusterNode, call: str) -> None:
    """The first call says what is missing and which package has it; waiting will not help."""
    out = without(
        "libcpg",
        node,
        "from aiocpg.engine._libcpg import binding\n"
        "from aiocpg.errors import EngineUnavailableError\n"
        f"try:\n    binding.{call}\n"
        "except EngineUnavailableError as error:\n    print(error.transient, error)",
    )
    assert out.startswith("False libcpg cannot be loaded: ")
    for word in ("libcpg.so.4", "libcpg4", "Debian", "corosynclib", "Fedora", "Arch", "AIOCPG_URL=local://"):
        assert word in out


def test_quorum_is_an_error_with_the_cure_when_libquorum_is_missing(node: ClusterNode) -> None:
    """It is not "no provider": the daemon may have one. Groups work all the same."""
    code = (
        "import asyncio, aiocpg\n"
        "async def main():\n"
        "    async with aiocpg.connect() as cpg, cpg.join('group'):\n"
        "        try:\n            await cpg.quorum()\n"
        "        except aiocpg.EngineUnavailableError as error:\n            print(error.transient, error)\n"
        "asyncio.run(main())"
    )
    out = without("libquorum", node, code)
    assert out.startswith("False libquorum cannot be loaded: ")
    for word in ("libquorum.so.5", "libquorum5", "Debian", "corosynclib", "Fedora", "Arch"):
        assert word in out


def test_hot_calls_refuse_any_handle_when_nothing_is_loaded() -> None:
    """Without the library there are no handles, and no crash either."""
    code = (
        "from aiocpg.engine._libcpg import binding\n"
        "from aiocpg.errors import StatusError\n"
        "from aiocpg.engine._libcpg import quorum\n"
        "print(quorum.Newest().drain(7))\n"
        "print(*binding.drain(7, binding.Arena(), 1, 1), *binding.dispatch(7, binding.Arena(), 4))\n"
        "try:\n    binding.Guard(7, 0)\nexcept StatusError as error:\n    print(error.name)"
    )
    assert finish(python(code)) == "9\n9 [] 9 []\nCS_ERR_BAD_HANDLE\n"
