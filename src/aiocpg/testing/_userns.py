"""
Becoming root in a fresh user namespace, without root. What a kernel or container has against it is told with its cure.

The caller is mapped to root there and nobody else exists. The process stays what it is; only what it may do, and what
it mounts and plugs together, is its own.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from fcntl import ioctl
from pathlib import Path

from ._errors import ClusterError
from ._syscalls import CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUSER, unshare

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1

SYSCTLS = {
    "kernel.unprivileged_userns_clone": 0,
    "kernel.apparmor_restrict_unprivileged_userns": 1,
    "user.max_user_namespaces": 0,
    "user.max_net_namespaces": 0,
    "user.max_mnt_namespaces": 0,
}
"""Settings that forbid user namespaces to users, each with the value that forbids."""

_BETTER = {"kernel.unprivileged_userns_clone": 1, "kernel.apparmor_restrict_unprivileged_userns": 0}


def enter() -> None:
    """
    Move this process into user, mount and network namespaces of its own, as root there. It must have one thread.

    The loopback device is up; no other network reaches in.

    Raises:
        ClusterError: The kernel refuses; the cure names the setting that is in the way.
    """
    uid, gid = os.geteuid(), os.getegid()
    try:
        # What is mounted from now on stays here: mounts never spread out of a user namespace.
        unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET)
        _map("setgroups", "deny")
        _map("uid_map", f"0 {uid} 1")
        _map("gid_map", f"0 {gid} 1")
        _loopback_up()
    except OSError as error:
        raise refusal(error, forbidding(SYSCTLS), in_container=_is_filtered()) from error


def _map(name: str, text: str) -> None:
    with open(f"/proc/self/{name}", "w") as file:
        file.write(text)


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh22x", b"lo", 0)
        name, flags = struct.unpack("16sh22x", ioctl(any_socket, _SIOCGIFFLAGS, request))
        ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", name, flags | _IFF_UP))


def forbidding(settings: dict[str, int], root: Path = Path("/proc/sys")) -> list[str]:
    """Those of the settings that have their forbidding value on this machine."""
    found = []
    for name, value in settings.items():
        file = root / name.replace(".", "/")
        if file.exists() and file.read_text().strip() == str(value):
            found.append(name)
    return found


def _is_filtered() -> bool:
    return "Seccomp:\t2" in Path("/proc/self/status").read_text()


def refusal(error: OSError, forbidden: list[str], *, in_container: bool) -> ClusterError:
    """What it means that the kernel refused a user namespace, and what to do."""
    reason = f"the kernel refuses this user a user namespace ({error.filename}: {error.strerror})"
    if forbidden:
        settings = " ".join(f"{name}={_BETTER.get(name, 10000)}" for name in forbidden)
        return ClusterError(reason, f"as root, run: sysctl -w {settings}")
    if error.errno == errno.EINVAL:
        return ClusterError(reason, "the kernel must be built with CONFIG_USER_NS, CONFIG_NET_NS")
    if error.errno in (errno.ENOSPC, errno.EUSERS):
        return ClusterError(
            reason, "there are too many, or they are nested too deep: see sysctl user.max_user_namespaces"
        )
    if in_container:
        return ClusterError(
            reason,
            "a seccomp filter, as containers have, seems to forbid it: start the container with "
            "--security-opt seccomp=unconfined, or as root with --cap-add SYS_ADMIN --cap-add NET_ADMIN",
        )
    return ClusterError(reason, "it is so in a chroot, or by a security module (AppArmor, SELinux): run as root")
