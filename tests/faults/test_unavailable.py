"""Every reason why a daemon cannot be had is told apart, with its cure, and says whether trying again may help."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import anyio
import pytest

from aiocpg import EngineUnavailableError
from aiocpg.testing import ClusterNode, CorosyncCluster
from faults import programs
from support.handles import finish
from support.running import in_thread

pytestmark = pytest.mark.anyio

NOBODY = 65534


def connected(node: ClusterNode, *arguments: str, wrapped_in: Sequence[str] = ()) -> dict[str, Any]:
    """Have a process on the node connect, and return what it says."""
    return dict(json.loads(finish(programs.start(node, "connector", *arguments, wrapped_in=wrapped_in))))


@contextmanager
def full_shm(node: ClusterNode) -> Iterator[None]:
    """Fill the node's /dev/shm to the last page, for a block."""
    node.fill_shm()
    yield
    node.free_shm()


def test_connect_names_the_size_when_dev_shm_is_full(fresh_node: ClusterNode) -> None:
    """The cure is to enlarge or to tidy it; what others give back may help as well. Afterwards it works."""
    with full_shm(fresh_node):
        said = connected(fresh_node)
    assert said["reason"].startswith("no space in /dev/shm (0 bytes free")
    assert "mount -o remount,size=" in said["cure"]
    assert "qb-PID-*" in said["cure"]
    assert said["transient"] is True
    assert connected(fresh_node) == {"nodeid": 1}


async def test_connect_counts_what_killed_daemons_have_left(fresh_node: ClusterNode) -> None:
    """A connection, a group and the blackbox in two files; what is of the daemon that runs is not counted."""
    async with fresh_node.connect() as cpg, cpg.join(b"left"):
        fresh_node.kill()
        await fresh_node.until_gone()
    await in_thread(fresh_node.start)
    await fresh_node.until_ready()
    with full_shm(fresh_node):
        said = await in_thread(lambda: connected(fresh_node))
    # The daemon that runs has its blackbox there, and may have what it has just tried to make.
    assert re.search(r"; 4 of the \d+ qb-\* there are of daemons that have ended$", said["reason"]), said["reason"]


@pytest.mark.usefixtures("no_leaks")
async def test_join_says_that_dev_shm_is_full_and_other_groups_go_on(fresh_node: ClusterNode) -> None:
    """A further handle does not fit; those that are open work as before."""
    async with fresh_node.connect() as cpg, cpg.join(b"before") as group:
        with full_shm(fresh_node):
            for call in (lambda: cpg.join(b"more"), cpg.groups):
                with pytest.raises(EngineUnavailableError, match="no space in /dev/shm"), anyio.fail_after(30):
                    await call()
            await group.mcast_confirmed(bytes(100_000))
        async with cpg.join(b"more") as more:
            assert set(await cpg.groups()) == {b"before", b"more"}
            await more.mcast_confirmed(b"fits again")


def test_connect_shows_the_lines_to_add_when_the_user_is_not_allowed(fresh_node: ClusterNode) -> None:
    """The cure is a file with this very user in it."""
    user = pwd.getpwuid(NOBODY).pw_name
    said = connected(fresh_node, "--uid", str(NOBODY))
    assert said["reason"].startswith(f"corosync does not let uid {NOBODY} ({user}) in")
    assert "/etc/corosync/uidgid.d" in said["cure"]
    assert f"uid: {user}\n    }}\n" in said["cure"]
    assert said["transient"] is False


def test_connect_works_for_a_user_that_is_allowed() -> None:
    """With the lines of the cure in its configuration the daemon lets the same user in."""
    with CorosyncCluster(nodes=1, extra_uidgid=[NOBODY]) as cluster:
        assert connected(cluster.node(1), "--uid", str(NOBODY)) == {"nodeid": 1}


def test_connect_speaks_of_containers_when_dev_shm_is_not_the_daemons(fresh_node: ClusterNode) -> None:
    """The socket of the network namespace answers, the shared memory is another one: as in a container."""
    environment = os.environ | {"PYTHONPATH": str(programs.SOURCE)}
    argv = ["nsenter", f"--net=/proc/{fresh_node.pid}/ns/net", *programs.command("connector")]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=30, check=True)
    said = json.loads(done.stdout)
    assert said["reason"] == "corosync's socket is reachable but its shared memory is not"
    assert "--ipc=host" in said["cure"]
    assert said["transient"] is False


def test_connect_says_start_it_when_the_daemon_is_not_running(fresh_node: ClusterNode) -> None:
    """It may come back, so trying again may help."""
    fresh_node.kill()
    fresh_node.wait_gone()
    said = connected(fresh_node)
    assert said["reason"].startswith("corosync is not running on this host")
    assert "systemctl start corosync" in said["cure"]
    assert said["transient"] is True
    fresh_node.start()
    fresh_node.wait_ready()
    assert connected(fresh_node) == {"nodeid": 1}


def test_connect_says_what_to_install_when_libcpg_cannot_be_loaded(node: ClusterNode) -> None:
    """The package's name stands in the cure, the loader's own words in the reason; importing works all the same."""
    hide = f'mount --bind /dev/null "{libcpg()}" && exec "$@"'
    said = connected(node, wrapped_in=["unshare", "--mount", "--propagation=unchanged", "sh", "-c", hide, "sh"])
    assert said["reason"].startswith("libcpg cannot be loaded: ")
    assert "libcpg.so.4" in said["reason"]
    assert "libcpg4 on Debian" in said["cure"]
    assert said["transient"] is False


def libcpg() -> str:
    """Return the file of the library, as a process that has loaded it shows it."""
    from aiocpg.engine._libcpg import binding

    binding.load()
    with open("/proc/self/maps") as maps:
        return next(line.split()[-1] for line in maps if "/libcpg.so.4" in line)


async def test_connect_refuses_a_daemon_of_another_user(node: ClusterNode) -> None:
    """Who asks for a daemon that runs as somebody else is told who answers."""
    with pytest.raises(EngineUnavailableError, match=f"runs as uid 0, not {NOBODY}") as caught:
        await node.connect(daemon_uid=NOBODY)
    assert "@cpg" in caught.value.cure
    assert not caught.value.transient
    async with node.connect(daemon_uid=0) as cpg:
        assert cpg.daemon is not None
        assert (cpg.daemon.uid, cpg.daemon.pid) == (0, node.pid)
