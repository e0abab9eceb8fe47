"""Clusters without root: `python -m aiocpg.testing` as users run it, and what stands in its way."""

from __future__ import annotations

import errno
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiocpg.testing._userns import SYSCTLS, forbidding, refusal
from testing.users import NOBODY, as_user, run, start

LAUNCHER = [sys.executable, "-m", "aiocpg.testing", "--"]
NO_ADMIN = ["setpriv", "--bounding-set=-sys_admin"]
"""Root, as containers have it."""

A_TEST = """
from aiocpg.testing import CorosyncCluster

def test_sides_part_and_merge():
    with CorosyncCluster(nodes=3) as cluster:
        cluster.partition({1}, {2, 3})
        cluster.wait_formed({1}, {2, 3})
        cluster.heal()
        cluster.wait_formed()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory of the ordinary user's."""
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, NOBODY, NOBODY)
        yield Path(name)


@pytest.fixture
def user(tmp_path: Path) -> list[str]:
    """The words that start a command of the ordinary user's."""
    return as_user(tmp_path)


def test_an_ordinary_user_is_told_the_command_that_works(user: list[str], home: Path) -> None:
    """A test fails with a command in its text; pasted into a shell, it runs the same test, which passes."""
    (home / "test_mine.py").write_text(A_TEST)
    typed = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_mine.py", "-k", "part and merge"]
    status, said = run([*user, *typed], home)
    assert status == pytest.ExitCode.TESTS_FAILED
    (command,) = {
        line.lstrip("E ") for line in said.splitlines() if line.startswith("E ") and "-m aiocpg.testing" in line
    }
    assert (
        command == "python -m aiocpg.testing -- python -m pytest -p no:cacheprovider test_mine.py -k 'part and merge'"
    )
    status, said = run([*user, "sh", "-c", command], home)
    assert "1 passed" in said
    assert status == 0


def test_nothing_is_executed_again_in_silence(user: list[str]) -> None:
    """Without the launcher a start fails, in the process that asked for it."""
    script = "from aiocpg.testing import CorosyncCluster; CorosyncCluster().start()"
    status, said = run([*user, sys.executable, "-c", script])
    assert status == 1
    assert "ClusterError: making network namespaces takes root's rights" in said


def test_the_command_takes_the_place_of_the_launcher(user: list[str]) -> None:
    """It has the launcher's pid and is root of namespaces of its own, with a loopback device that is up."""
    look = "echo $$; id -u; readlink /proc/self/ns/user /proc/self/ns/mnt /proc/self/ns/net; ip -br link"
    with start([*user, *LAUNCHER, "sh", "-c", look]) as process:
        pid, uid, *spaces, link = process.communicate()[0].splitlines()
    assert (int(pid), int(uid)) == (process.pid, 0)
    assert set(spaces).isdisjoint(os.readlink(f"/proc/self/ns/{kind}") for kind in ("user", "mnt", "net"))
    assert link.startswith("lo ")
    assert "UP" in link


@pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("kill -INT $$", -signal.SIGINT)])
def test_the_status_is_the_commands_own(user: list[str], script: str, status: int) -> None:
    """Nobody stands in between, for exits and for signals."""
    assert run([*user, *LAUNCHER, "sh", "-c", script])[0] == status


def test_root_stays_where_it_is() -> None:
    """With the rights that it takes, the command is just run."""
    _, said = run([*LAUNCHER, "readlink", "/proc/self/ns/net"])
    assert said.strip() == os.readlink("/proc/self/ns/net")


def test_root_of_a_container_is_told_the_command_that_works(home: Path) -> None:
    """Root without SYS_ADMIN can do what any user can."""
    script = "from aiocpg.testing import CorosyncCluster; CorosyncCluster(nodes=1).start(); print('started')"
    _, said = run([*NO_ADMIN, sys.executable, "-c", script])
    assert "this root lacks the capabilities SYS_ADMIN and NET_ADMIN" in said
    assert run([*NO_ADMIN, *LAUNCHER, sys.executable, "-c", script]) == (0, "started\n")


def test_the_way_out_is_told_when_user_namespaces_are_switched_off(user: list[str]) -> None:
    """The setting is found, and the command named that changes it. It is off in a namespace of the test alone."""
    off = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    nested = ["unshare", "--user", "--map-root-user", "sh", "-c", off, "sh", *NO_ADMIN]
    status, said = run([*user, *nested, *LAUNCHER, "true"])
    assert status == 1
    assert "the kernel refuses this user a user namespace" in said
    assert "sysctl -w user.max_user_namespaces=10000" in said
    assert "Traceback" not in said


def test_a_chroot_is_suspected_when_nothing_else_is_in_the_way(tmp_path: Path) -> None:
    """The kernel gives no user namespace to a process in a chroot, and no reason either."""
    script = f'mount --rbind / "{tmp_path}" && exec chroot "{tmp_path}" "$@"'
    words = ["unshare", "--mount", "sh", "-c", script, "sh", *NO_ADMIN, *LAUNCHER, "true"]
    status, said = run(words)
    assert status == 1
    assert "it is so in a chroot" in said


@pytest.mark.parametrize(
    ("number", "forbidden", "filtered", "cure"),
    [
        (errno.EPERM, ["kernel.unprivileged_userns_clone"], True, "sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            errno.EACCES,
            ["kernel.apparmor_restrict_unprivileged_userns"],
            False,
            "apparmor_restrict_unprivileged_userns=0",
        ),
        (errno.EPERM, [], True, "--security-opt seccomp=unconfined"),
        (errno.EPERM, [], False, "chroot"),
        (errno.ENOSPC, [], False, "nested too deep"),
        (errno.EINVAL, [], False, "CONFIG_USER_NS"),
    ],
)
def test_each_refusal_has_its_cure(number: int, forbidden: list[str], filtered: bool, cure: str) -> None:
    """What was found on the machine decides."""
    error = OSError(number, os.strerror(number), "unshare")
    assert cure in refusal(error, forbidden, in_container=filtered).cure


def test_settings_that_forbid_are_found(tmp_path: Path) -> None:
    """Those this kernel does not have are no hindrance."""
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel" / "unprivileged_userns_clone").write_text("0\n")
    (tmp_path / "kernel" / "apparmor_restrict_unprivileged_userns").write_text("0\n")
    assert forbidding(SYSCTLS, tmp_path) == ["kernel.unprivileged_userns_clone"]


def test_a_command_that_is_not_there_is_named() -> None:
    """As a shell would."""
    assert run([*LAUNCHER, "no-such-program"]) == (
        1,
        "aiocpg.testing: cannot run no-such-program: No such file or directory\n",
    )


def test_help_says_what_it_does() -> None:
    """And without a command there is a usage line."""
    status, said = run([*LAUNCHER[:-1], "--help"])
    assert status == 0
    assert "usage: python -m aiocpg.testing [-h] -- COMMAND [ARGUMENT ...]" in said
    assert run(LAUNCHER)[0] == 2
