"""
A service in a container beside the host's daemon: what it must share, and what it is told where it does not.

Containers are made of the same namespaces as those of Docker, by ``unshare``; ``docs/howto/containers.md`` says what is
tested here, in the same words.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiocpg.testing import ClusterNode, CorosyncCluster
from support.running import in_thread
from support.standstills import without_standstills
from testing.users import NOBODY, as_user

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "howto" / "containers.md").read_text()
TABLE = dict(re.findall(r"^\| ([^|]+) \| `?([^|`]+)`?[^|]* \|$", PAGE, re.MULTILINE))

CLIENT = """
import asyncio, aiocpg

async def main():
    try:
        async with aiocpg.connect("corosync://") as cpg, cpg.join("containers") as group:
            await group.mcast_confirmed(b"hello")
            print("works as", group.me)
    except aiocpg.CPGError as error:
        print(error)

asyncio.run(main())
"""

UNTIL_FULL = """
import asyncio, contextlib, aiocpg

async def main():
    async with contextlib.AsyncExitStack() as stack:
        cpg = await stack.enter_async_context(aiocpg.connect("corosync://"))
        handles = 1
        with contextlib.suppress(aiocpg.EngineUnavailableError):
            while handles < 100:
                await stack.enter_async_context(cpg.join(f"group {handles}"))
                handles += 1
        print(handles)

asyncio.run(main())
"""

ALONE = ("unshare", "--mount", "--propagation=unchanged")
HIDDEN_MEMORY = (*ALONE, "sh", "-c", 'mount -t tmpfs tmpfs /dev/shm && exec "$@"', "sh")
OWN_PIDS = ("unshare", "--pid", "--fork", "--mount-proc")


def said(node: ClusterNode, *words: str, program: str = CLIENT) -> str:
    """Run a program on a node, in what the words make, and return what it prints."""
    command = [*words, sys.executable, "-c", program]
    with node.spawn(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        return without_standstills(process.communicate(timeout=60)[0]).strip()


@pytest.mark.parametrize(
    ("row", "container"),
    [
        ("the network namespace", ("unshare", "--net")),
        ("`/dev/shm`", HIDDEN_MEMORY),
    ],
)
def test_container_that_does_not_share_is_told_what(row: str, container: tuple[str, ...], node: ClusterNode) -> None:
    """The text that the page promises."""
    assert TABLE[row] in said(node, *container)


@pytest.mark.parametrize(
    "container",
    [
        ("unshare", "--ipc"),
        ("unshare", "--uts", "--cgroup"),
        ("unshare", "--user", "--map-root-user"),
    ],
)
def test_container_may_have_the_rest_for_itself(container: tuple[str, ...], node: ClusterNode) -> None:
    """IPC objects, host name, control groups, and users as long as root is root."""
    assert said(node, *container).startswith("works as 1:")


def test_container_of_its_own_pids_is_process_one(node: ClusterNode) -> None:
    """The daemon takes the pid that the client knows itself by."""
    assert said(node, *OWN_PIDS) == "works as 1:1"


@pytest.fixture
def generous() -> Iterator[ClusterNode]:
    """A node whose daemon lets an ordinary user in."""
    with CorosyncCluster(nodes=1, extra_uidgid=[NOBODY]) as cluster:
        yield cluster.node(1)


@pytest.fixture
def rootless(tmp_path: Path) -> list[str]:
    """The words that make a container of an ordinary user, who is root in it."""
    return [*as_user(tmp_path), "unshare", "--user", "--map-root-user"]


def test_rootless_container_is_refused_as_the_user_outside(node: ClusterNode, rootless: list[str]) -> None:
    """Its root is nobody to the daemon; the text has the name inside."""
    told = said(node, *rootless)
    assert TABLE["users, and root of it is an ordinary user outside"] in told


def test_rootless_container_is_let_in_as_the_user_outside(generous: ClusterNode, rootless: list[str]) -> None:
    """A file in uidgid.d that names the host's user is the cure."""
    assert said(generous, *rootless).startswith("works as 1:")


def test_handles_fill_the_memory_of_a_container_as_the_page_says() -> None:
    """Docker's 64 MiB, for the daemon and all of its clients."""
    (number,) = re.findall(r"full after (\d+) connections and groups", PAGE)
    with CorosyncCluster(nodes=1, shm_size="64M") as cluster:
        assert said(cluster.node(1), program=UNTIL_FULL) == number


def test_container_with_another_memory_is_not_told_of_its_own(fresh_node: ClusterNode) -> None:
    """The daemon's is full, that of the container is not."""
    fresh_node.fill_shm()
    told = said(fresh_node, *HIDDEN_MEMORY)
    assert told.startswith("no space in /dev/shm of the daemon"), told
    assert "that of this process, perhaps another one, has" in told


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_loop_of_the_page_removes_what_dead_daemons_have_left_and_nothing_else(fresh_node: ClusterNode) -> None:
    """The connections and the blackbox of the one before are gone; who is connected to the one that runs goes on."""
    (loop,) = re.findall(r"```bash\n(for entry in .*?)```", PAGE, re.DOTALL)
    dead = fresh_node.pid
    async with fresh_node.connect() as cpg, cpg.join("left"):
        fresh_node.kill()
        await fresh_node.until_gone()
    await in_thread(fresh_node.start)
    await fresh_node.until_ready()
    async with fresh_node.connect() as cpg, cpg.join("kept") as group:
        running = [name for name in fresh_node.shm_files() if f"-{dead}-" not in name]
        left = {name.partition("/")[0] for name in fresh_node.shm_files()} - {
            name.partition("/")[0] for name in running
        }
        assert len(left) == 4
        with fresh_node.spawn(["bash", "-c", loop], stdout=subprocess.PIPE, text=True) as process:
            removed = process.communicate(timeout=30)[0]
        assert all(name in removed for name in left)
        assert fresh_node.shm_files() == running
        await group.mcast_confirmed(b"goes on")
