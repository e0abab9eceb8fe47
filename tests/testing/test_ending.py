"""Nothing of a cluster outlives it: not after success, not after Ctrl-C, not whichever processes are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from aiocpg.testing import ClusterError, CorosyncCluster
from testing.looking import WAIT, daemon_pid, ends, joined, namespaces, residents, running, traces


def test_everything_ends_when_closed() -> None:
    """close() ends daemons and spawned processes, may be repeated, and the cluster can be started again."""
    cluster = CorosyncCluster(nodes=1)
    for _ in range(2):
        cluster.start()
        node = cluster.node(1)
        pid, process = daemon_pid(node), node.spawn(["sleep", "600"])
        cluster.close()
        cluster.close()
        assert process.wait(WAIT) == -signal.SIGKILL
        assert not Path(f"/proc/{pid}").exists()
        assert "ready to provide service" in node.log


def test_a_forked_child_cannot_close_its_parents_cluster() -> None:
    """A child that leaves the block, as a failing test would, does the parent no harm."""
    with CorosyncCluster(nodes=1) as cluster:
        child = os.fork()
        if child == 0:
            cluster.close()
            os._exit(0)
        os.waitpid(child, 0)
        assert joined(cluster.node(1)) == {1}


def test_a_cluster_stays_when_the_thread_that_started_it_ends() -> None:
    """Clusters belong to the process: a fixture may start them in a worker thread."""
    cluster = CorosyncCluster(nodes=1)
    thread = threading.Thread(target=cluster.start)
    thread.start()
    thread.join(WAIT)
    try:
        assert joined(cluster.node(1)) == {1}
        cluster.node(1).kill()
        cluster.node(1).wait_gone()
    finally:
        cluster.close()


@pytest.mark.parametrize("which", ["guard", "keeper"])
def test_a_cluster_ends_when_the_process_that_holds_it_is_killed(which: str) -> None:
    """The two processes between us and the daemons are no weak point: all goes along with either, and we are told."""
    with CorosyncCluster(nodes=2) as cluster:
        process = cluster.node(1).spawn(["sleep", "600"])
        daemons = [daemon_pid(node) for node in cluster.nodes]
        assert cluster._control is not None
        guard = cluster._control.pid
        os.kill(guard if which == "guard" else child_of(guard), signal.SIGKILL)
        assert [pid for pid in daemons if not ends(pid)] == []
        assert process.wait(WAIT) == -signal.SIGKILL
        with pytest.raises(ClusterError, match="keeper"):
            cluster.heal()


def child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text())


OWNER = """
import sys, threading
from aiocpg.testing import CorosyncCluster

def stay():
    cluster.node(2).enter()
    threading.Event().wait()

with CorosyncCluster(nodes=2) as cluster:
    threading.Thread(target=stay, daemon=True).start()
    processes = [cluster.node(1).spawn(["sh", "-c", "sleep 600 & wait"]) for _ in range(3)]
    print(cluster._control.pid, *[node.pid for node in cluster.nodes], *[one.pid for one in processes], flush=True)
    if sys.stdin.readline():
        raise RuntimeError("as a test that fails")
"""


class Household:
    """An owner in a process of its own, with all that lives in and around its cluster."""

    def __init__(self, owner: subprocess.Popen[str]) -> None:
        assert owner.stdout is not None
        guard, *pids = [int(word) for word in owner.stdout.readline().split()]
        self.owner, self.guard = owner.pid, guard
        self.keeper = child_of(guard)
        self.spaces = {namespaces(pid) for pid in pids}
        # While these are open, the numbers of the namespaces are not given to those of a cluster beside this one.
        self._held = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY) for pid in pids for kind in ("net", "mnt")]
        self.inhabitants = residents(self.spaces)
        assert len(self.spaces) == 2
        assert set(pids) < self.inhabitants

    def kill(self, *pids: int) -> None:
        """SIGKILL them at one stroke: none has a moment to act on the end of another."""
        for signum in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                os.kill(pid, signum)

    def check_gone(self) -> None:
        pids = {self.guard, self.keeper, *self.inhabitants}
        assert [pid for pid in pids if not ends(pid)] == []
        assert [pid for pid in residents(self.spaces) if not ends(pid)] == []
        while self._held:
            os.close(self._held.pop())


ENDS: dict[str, Callable[[Household, IO[str]], object]] = {
    "success": lambda household, stdin: stdin.close(),
    "failure": lambda household, stdin: stdin.write("fail\n") and stdin.flush(),
    "Ctrl-C": lambda household, stdin: os.killpg(household.owner, signal.SIGINT),
    "SIGTERM": lambda household, stdin: os.kill(household.owner, signal.SIGTERM),
    "SIGKILL": lambda household, stdin: household.kill(household.owner),
    "SIGKILL with the keeper": lambda household, stdin: household.kill(household.owner, household.keeper),
    "SIGKILL with its guard": lambda household, stdin: household.kill(household.owner, household.guard),
}
"""How a test run may end."""


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_nothing_is_left_when_the_owner_ends(end: Callable[[Household, IO[str]], object]) -> None:
    """Daemons, spawned programs and their children end with it, and all they stand on is gone."""
    before = traces()
    with running(OWNER) as owner:
        household = Household(owner)
        assert owner.stdin is not None
        end(household, owner.stdin)
        assert ends(owner.pid)
        household.check_gone()
    assert traces() <= before


def test_a_later_cluster_sweeps_what_was_left_when_all_were_killed_at_once() -> None:
    """Owner, keeper and guard dead at one stroke leave programs on nodes; the next start finds them, and no others."""
    before = traces()
    with running(OWNER) as neighbour:
        innocent = Household(neighbour)
        # A cluster of a test beside this one may come first, and leave nobody to sweep.
        assert any(_is_swept_by_a_start() for _ in range(10))
        assert residents(innocent.spaces) >= innocent.inhabitants
    innocent.check_gone()
    assert traces() <= before


def _is_swept_by_a_start() -> bool:
    """Kill a household, and see that a start sweeps it; answers whether there was somebody to sweep."""
    with running(OWNER) as owner:
        household = Household(owner)
        household.kill(household.owner, household.keeper, household.guard)
        were_there = bool(residents(household.spaces))
        with CorosyncCluster(nodes=1):
            household.check_gone()
    return were_there


def test_a_guard_that_comes_late_does_not_take_a_neighbour_for_its_own() -> None:
    """The kernel gives the numbers of namespaces that are no more to the next ones, as those of a parallel worker."""
    with running(OWNER) as owner:
        assert owner.stdout is not None
        guard = int(owner.stdout.readline().split()[0])
        keeper = child_of(guard)
        os.kill(guard, signal.SIGSTOP)
        for pid in (owner.pid, keeper):
            os.kill(pid, signal.SIGKILL)
            assert ends(pid)
        with CorosyncCluster(nodes=3) as neighbour:
            pids = [daemon_pid(node) for node in neighbour.nodes]
            os.kill(guard, signal.SIGCONT)
            assert ends(guard)
            assert [node.pid for node in neighbour.nodes] == pids
            assert [joined(node) for node in neighbour.nodes] == [{1, 2, 3}] * 3


def test_no_pid_of_a_daemon_is_taken_when_a_cluster_was_closed() -> None:
    """They have ended, and somebody has waited for them: nothing is left for whoever adopts orphans."""
    for _ in range(20):
        with CorosyncCluster(nodes=1) as cluster:
            pids = [daemon_pid(node) for node in cluster.nodes]
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


def test_a_start_is_not_held_up_by_a_file_that_only_looks_like_a_mark() -> None:
    """Whoever has a /run of his own may put a pipe there, which lets a reader wait for ever."""
    with CorosyncCluster(nodes=1) as cluster:
        trap = "rm /run/corosync-test.owner && mkfifo /run/corosync-test.owner && echo set && exec sleep 600"
        program = cluster.node(1).spawn(["sh", "-c", trap], stdout=subprocess.PIPE, text=True)
        with program:
            assert program.stdout is not None
            assert program.stdout.readline() == "set\n"
            with CorosyncCluster(nodes=1):
                assert program.poll() is None
            program.kill()


def test_clusters_of_parallel_processes_do_not_meet() -> None:
    """As parallel test workers have them: one is broken and ended, the other does not notice."""
    with running(OWNER) as one, running(OWNER) as other:
        first, second = Household(one), Household(other)
        assert first.spaces.isdisjoint(second.spaces)
        first.kill(first.owner)
        first.check_gone()
        assert residents(second.spaces) >= second.inhabitants
    second.check_gone()
