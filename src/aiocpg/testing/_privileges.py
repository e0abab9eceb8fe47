"""What this process may do: the rights that namespaces take, and the command that gets them when they are missing."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from ._errors import ClusterError

_CAP_NET_ADMIN = 12
_CAP_SYS_ADMIN = 21

LAUNCHER = ("python", "-m", "aiocpg.testing", "--")


def are_there() -> bool:
    """Whether this process is root, here or in a user namespace, with the capabilities that namespaces take."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    held = int(status["CapEff"], 16)
    return os.geteuid() == 0 and all(held >> number & 1 for number in (_CAP_NET_ADMIN, _CAP_SYS_ADMIN))


def check() -> None:
    """
    See that a cluster can be made.

    Raises:
        ClusterError: It takes root; the cure is this very run as a command that gets there.
    """
    if are_there():
        return
    command = shlex.join([*_python(sys.executable), *LAUNCHER[1:], *command_line(sys.orig_argv, sys.argv)])
    if os.geteuid() == 0:
        raise ClusterError(
            "this root lacks the capabilities SYS_ADMIN and NET_ADMIN, which namespaces take",
            "give them to the container (--cap-add SYS_ADMIN --cap-add NET_ADMIN), "
            f"or try to get them in a user namespace:\n\n    {command}\n",
        )
    raise ClusterError(
        "making network namespaces takes root's rights, and this process has a user's",
        f"as root it works as it is; without root, run it in a user namespace of its own:\n\n    {command}\n",
    )


def command_line(typed: list[str], arguments: list[str]) -> list[str]:
    """
    The command this process was started by, as short as it would be typed.

    Args:
        typed: :data:`sys.orig_argv`.
        arguments: :data:`sys.argv`, which tells more where a worker was started on behalf of another process.
    """
    if "-c" in typed[1:] and arguments and arguments[0] not in ("", "-c"):
        return _short_script(arguments)
    if len(typed) > 1 and not typed[1].startswith("-") and _is_on_path(typed[1]):
        return _short_script(typed[1:])
    return [*_python(typed[0]), *typed[1:]]


def _short_script(words: list[str]) -> list[str]:
    script = words[0]
    if script.endswith("/__main__.py"):
        return [*_python(sys.executable), "-m", Path(script).parent.name, *words[1:]]
    return [os.path.basename(script) if _is_on_path(script) else script, *words[1:]]


def _python(path: str) -> list[str]:
    """The interpreter by its name where that finds the same one."""
    for name in ("python", "python3", os.path.basename(path)):
        if shutil.which(name) in (path, sys.executable):
            return [name]
    return [sys.executable]


def _is_on_path(script: str) -> bool:
    return shutil.which(os.path.basename(script)) == os.path.abspath(script)
