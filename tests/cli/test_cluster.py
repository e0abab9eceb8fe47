"""``aiocpg cluster up`` as it is typed: real clusters, programs on their nodes, signals, and nothing left."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.handles import wait_until

UP = (sys.executable, "-m", "aiocpg", "cluster", "up")
PATIENCE = 60
"""Seconds until a wait gives up."""


def run(*arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    argv = [*prefix, *UP, *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=PATIENCE)


@contextmanager
def running(*arguments: str, prefix: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    """Run the command beside the block; it is killed at the end."""
    # The shell that runs the tests may have SIGINT ignored.
    argv = ["env", "--default-signal=INT", *prefix, *UP, *arguments]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def facts(process: subprocess.Popen[str], nodes: int) -> dict[str, str]:
    """Read what it prints of its nodes when they are up, under words like ``node 1 pid``."""
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3 * nodes)]
    return {name: value.strip() for name, _, value in (line.partition(": ") for line in lines)}


def is_gone(pid: str) -> bool:
    """Whether it has ended; somebody may not have looked at its status yet."""
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


# -- Without a command


def test_printed_line_leads_into_the_node() -> None:
    """Copied as it stands, it runs a client of that node's daemon; the log is where the other line says."""
    with running("--nodes", "2") as process:
        told = facts(process, 2)
        line = told["node 2 run"].replace("corosync-cpgtool", "corosync-cmapctl nodelist.local_node_pos")
        done = subprocess.run(shlex.split(line), capture_output=True, text=True, check=True, timeout=PATIENCE)
        client = subprocess.run(shlex.split(told["node 2 run"]), check=True, capture_output=True, timeout=PATIENCE)
        log = Path(told["node 2 log"]).read_text()
    assert done.stdout.strip() == "nodelist.local_node_pos (u32) = 1"
    assert client.stdout.startswith(b"Group Name")
    assert "ready to provide service" in log


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_it_and_all_of_it(signum: signal.Signals) -> None:
    """Ctrl-C is how it is meant to end: status 0, no words of an error, and the daemons are gone when it is."""
    with running("--nodes", "1") as process:
        told = facts(process, 1)
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signum)
        assert process.wait(PATIENCE) == 0
        assert is_gone(told["node 1 pid"])
        assert process.stderr.read() == ""


def test_killed_it_leaves_nothing() -> None:
    """SIGKILL gives it no time; the daemons end all the same."""
    with running("--nodes", "1") as process:
        told = facts(process, 1)
        process.kill()
        wait_until(lambda: is_gone(told["node 1 pid"]))


def test_options_reach_the_daemons() -> None:
    """Token and transport stand in their configuration, the size is that of /dev/shm."""
    with running("--nodes", "1", "--token", "777", "--transport", "knet", "--shm-size", "64M") as process:
        root = Path("/proc", facts(process, 1)["node 1 pid"], "root")
        conf = (root / "run/corosync-test/corosync.conf").read_text()
        shm = os.statvfs(root / "dev/shm")
    assert "token: 777\n" in conf
    assert "transport: knet\n" in conf
    assert shm.f_blocks * shm.f_frsize == 64 << 20


def test_line_leads_into_a_user_namespace_too() -> None:
    """Started by somebody who is root in a user namespace only, it prints a way that goes there first."""
    namespace = ("unshare", "--map-root-user", "--mount")
    with running("--nodes", "1", prefix=namespace) as process:
        line = facts(process, 1)["node 1 run"]
        done = subprocess.run(shlex.split(line), capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert "--user" in line
    assert done.stdout.startswith("Group Name"), done.stderr


# -- With a command


def test_command_is_led_to_its_node_when_our_shell_leads_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who came from local:// would else try a program on a cluster that it never sees."""
    monkeypatch.setenv("AIOCPG_URL", "local://elsewhere")
    assert run("-n", "1", "--", "sh", "-c", "echo $AIOCPG_URL").stdout == "1: corosync://\n"


def test_command_runs_on_every_node_and_its_lines_say_which() -> None:
    """Each copy knows its node, output and errors stay apart, and the worst status is the program's."""
    done = run("-n", "3", "--", "sh", "-c", "echo out; echo $AIOCPG_NODE >&2; exit $AIOCPG_NODE")
    assert sorted(done.stdout.splitlines()) == ["1: out", "2: out", "3: out"]
    assert sorted(done.stderr.splitlines()) == ["1: 1", "2: 2", "3: 3"]
    assert done.returncode == 3


def test_command_reaches_the_daemon_of_its_node() -> None:
    """An ordinary client, told nothing, is on the node it runs on."""
    client = (
        "import aiocpg, asyncio\nasync def f():\n async with aiocpg.connect() as c: print(c.nodeid)\nasyncio.run(f())"
    )
    done = run("-n", "2", "--", sys.executable, "-c", client)
    assert sorted(done.stdout.splitlines()) == ["1: 1", "2: 2"], done.stderr


def test_command_runs_on_chosen_nodes_only() -> None:
    """The others are there, and run nothing; a copy that a signal has ended counts as in a shell."""
    done = run("-n", "2", "--on", "2", "sh", "-c", "echo here; kill -9 $$")
    assert done.stdout == "2: here\n"
    assert done.returncode == 128 + signal.SIGKILL


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_signal_is_passed_on_to_the_command(signum: signal.Signals) -> None:
    """The copies get what the program got, may put things in order, and say the status."""
    script = "trap 'echo ordered; exit 7' INT TERM; echo up; while :; do sleep 0.1; done"
    with running("-n", "2", "--", "sh", "-c", script) as process:
        assert process.stdout is not None
        assert {process.stdout.readline() for _ in range(2)} == {"1: up\n", "2: up\n"}
        process.send_signal(signum)
        assert sorted(process.stdout.read().splitlines()) == ["1: ordered", "2: ordered"]
        assert process.wait(PATIENCE) == 7


def test_command_that_heeds_no_signal_is_killed() -> None:
    """After a few seconds, and what it has left running in the background ends too."""
    script = "trap '' INT TERM; sleep 1000 & echo $!; wait; sleep 1000"
    with running("-n", "1", "--", "sh", "-c", script) as process:
        assert process.stdout is not None
        _, pid = process.stdout.readline().split()
        process.terminate()
        assert process.wait(PATIENCE) == 128 + signal.SIGKILL
        assert is_gone(pid)


def test_reader_that_goes_away_ends_the_command() -> None:
    """As in any pipeline: ``aiocpg cluster up -- yes | head`` comes to its end, quietly."""
    with running("-n", "1", "--", "yes") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(PATIENCE) == 128 + signal.SIGPIPE
        assert process.stderr is not None
        assert process.stderr.read() == ""


# -- What is wrong is said in a line


@pytest.mark.parametrize(
    ("arguments", "complaint", "status"),
    [
        (("-n", "0"), "a cluster has 1 to 64 nodes, not 0", 2),
        (("--token", "1"), "token is in milliseconds and at least 100, not 1", 2),
        (("--on", "4", "--", "true"), "there is no node 4: they count from 1 to 3", 2),
        (("--on", "1"), "--on says where to run a command, and there is none", 2),
        (("-n", "1", "--", "/no/such/program"), "/no/such/program: No such file or directory", 127),
    ],
)
def test_mistake_is_told_without_traceback(arguments: tuple[str, ...], complaint: str, status: int) -> None:
    """The status tells a wrong call, 2, from a command that cannot be run, 127."""
    done = run(*arguments)
    assert complaint in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert (done.returncode, done.stdout) == (status, "")


def test_missing_rights_are_told_with_the_command_that_works() -> None:
    """The very command that was typed, where it may make namespaces."""
    done = run("-n", "1", prefix=("setpriv", "--bounding-set=-sys_admin,-net_admin"))
    assert done.returncode == 1
    assert "-m aiocpg.testing -- " in done.stderr
    assert "-m aiocpg cluster up -n 1" in done.stderr
    assert "Traceback" not in done.stderr


def test_reference_has_every_option() -> None:
    """The table is what ``--help`` says, one line each."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text()
    table = re.findall(r"^\| .*`(--[\w-]+)` \|", page.partition("## aiocpg cluster up")[2], re.MULTILINE)
    assert sorted(table) == sorted(set(re.findall(r"--\w[\w-]*", run("--help").stdout)) - {"--help"})
