"""How commands end: by signals, by a reader that goes, by what was typed wrongly, by what is not there."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable

import pytest

from aiocpg.testing import ClusterNode
from cli.terminals import PATIENCE, PROGRAM, Terminal, records, run

Open = Callable[..., Terminal]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_leaves_the_group_in_order(signum: signal.Signals, node: ClusterNode, terminal: Open) -> None:
    """The others see a leave, no crash; what runs until told has done its job."""
    watcher = terminal(node, "members", "told", "--watch")
    watcher.until_line('"joined"')
    listener = terminal(node, "listen", "told")
    listener.until_line('"joined"')
    assert listener.told(signum) == 0
    assert listener.complaint == ""
    watcher.until_left(listener.address)


def test_reader_that_goes_ends_it_also_while_nothing_happens(node: ClusterNode, terminal: Open) -> None:
    """``aiocpg listen g | head -1`` does not wait for the next message, and leaves the group in order."""
    watcher = terminal(node, "members", "pipe", "--watch")
    watcher.until_line('"joined"')
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with node.spawn([*PROGRAM, "listen", "pipe"], **pipes) as process:
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(PATIENCE) == 0
        assert process.stderr.read() == b""
    watcher.until_left(f"1:{process.pid}")


def test_unfinished_work_is_told_by_the_status(node: ClusterNode, terminal: Open) -> None:
    """A listener that was to wait for a message, and did not get it, ends as in a shell."""
    listener = terminal(node, "listen", "more", "--count", "1")
    listener.until_line('"joined"')
    assert listener.told(signal.SIGTERM) == 128 + signal.SIGTERM


def test_reader_that_stands_still_does_not_hold_up_the_end(node: ClusterNode) -> None:
    """Nor the loop: the pipe is full, messages go on coming, and a signal ends it."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with node.spawn([*PROGRAM, "listen", "full"], **pipes) as process:
        assert process.stdout.readline()
        records(run(node, "send", "full", sent=b"x" * 500_000))
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_full_disk_is_told(node: ClusterNode) -> None:
    """Status 1: what was asked for was not handed over."""
    pipes = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with open("/dev/full", "wb") as full, node.spawn([*PROGRAM, "rings"], stdout=full, **pipes) as process:
        assert process.stderr.read() == b"aiocpg: stdout: No space left on device\n"
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("listen", "x" * 128), "group name"),
        (("listen", ""), "group name"),
        (("listen", "a\\b"), "backslash"),
        (("groups", "--url", "nothing://"), "no engine is called by 'nothing://'"),
        (("send", "g", "x", "--lines"), "--lines sends the lines of stdin"),
        (("listen", "g", "--count", "0"), "--count"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(arguments: tuple[str, ...], complaint: str, node: ClusterNode) -> None:
    """Status 2, and no traceback."""
    done = run(node, *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert complaint in " ".join(done.stderr.decode().split())


@pytest.mark.parametrize("command", [("groups",), ("chat", "g"), ("listen", "g"), ("send", "g", "x"), ("top", "g")])
def test_missing_daemon_is_told_with_the_cure(command: tuple[str, ...]) -> None:
    """Status 3; nothing else takes the cluster's place."""
    argv = ["unshare", "--net", *PROGRAM, *command]
    done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (3, b"")
    reason, cure = done.stderr.decode().splitlines()
    assert reason.startswith("aiocpg: corosync is not running on this host")
    assert cure.startswith("cure: start it with")
    assert cure.endswith("AIOCPG_URL=local://demo")


def test_url_comes_from_the_environment() -> None:
    """As for any program that uses aiocpg."""
    program = PROGRAM[PROGRAM.index("AIOCPG_URL") + 1 :]
    done = subprocess.run(
        [*program, "groups"],
        capture_output=True,
        check=False,
        timeout=PATIENCE,
        env=os.environ | {"AIOCPG_URL": "nothing://"},
    )
    assert done.returncode == 2
    assert b"nothing://" in done.stderr


def test_heavy_modules_are_not_imported_for_help() -> None:
    """The program starts quickly: rich is for terminals, and clusters are for one command."""
    code = "import sys, aiocpg.cli._app; print({'rich', 'aiohttp', 'trio', 'aiocpg.testing'} & set(sys.modules))"
    done = subprocess.run([PROGRAM[4], "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert done.stdout == "set()\n"
