"""
The system calls that Python 3.11 has no words for: setns, unshare, mount, prctl. Nothing here knows about clusters.

They act on the calling *thread* (mount: on its mount namespace) and raise OSError. Imported by the keeper as well,
so this file needs the standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform

CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
PR_SET_PDEATHSIG = 1

_SETRESUID_SETRESGID = {
    "x86_64": (117, 119),
    "aarch64": (147, 149),
    "riscv64": (147, 149),
    "loongarch64": (147, 149),
    "ppc64le": (164, 169),
    "s390x": (208, 210),
    "armv7l": (208, 210),
    "i686": (208, 210),
}
"""The numbers of the two system calls, by machine."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
_libc.prctl.argtypes = [ctypes.c_int, ctypes.c_ulong]
_libc.syscall.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_long, ctypes.c_long]


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def setns(fd: int, kind: int) -> None:
    """Move this thread into the namespace behind `fd`, which is of `kind` (a CLONE_NEW flag)."""
    _check(_libc.setns(fd, kind), "setns")


def unshare(flags: int) -> None:
    """Give this thread namespaces of its own, or with CLONE_FS a root and working directory of its own."""
    _check(_libc.unshare(flags), "unshare")


def root() -> int:
    """Open this thread's root directory, which in a chroot is not that of its mount namespace."""
    return os.open("/", os.O_RDONLY | os.O_DIRECTORY)


def set_root(fd: int) -> None:
    """Make the directory behind `fd` this thread's root; entering a mount namespace leads to the namespace's own."""
    os.fchdir(fd)
    os.chroot(".")


def make_private() -> None:
    """Keep the mounts of this mount namespace from spreading to others, and theirs from coming here."""
    before = root()
    namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    try:
        # In a chroot "/" need not be a mount, and nothing but a mount can be made private. Entering the namespace one
        # is in already leads to its real root.
        setns(namespace, CLONE_NEWNS)
        _check(_libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "mount --make-rprivate /")
        set_root(before)
    finally:
        os.close(namespace)
        os.close(before)


def mount_tmpfs(target: str, options: str) -> None:
    """Put an empty file system in memory on `target`."""
    _check(_libc.mount(b"tmpfs", target.encode(), b"tmpfs", 0, options.encode()), f"mount tmpfs on {target}")


def die_with_parent(signum: int) -> None:
    """Have the kernel send `signum` to this process when the thread that forked it ends."""
    _check(_libc.prctl(PR_SET_PDEATHSIG, signum), "prctl(PR_SET_PDEATHSIG)")


def become(uid: int) -> None:
    """
    Make this thread alone another user, with the group of the same number; the functions of libc would take all along.

    The kernel shows a socket's peer by its effective ids, and in a message by its real ones, so all are set.
    """
    if platform.machine() not in _SETRESUID_SETRESGID:
        raise OSError(errno.ENOSYS, "the number of setresuid is not known here", platform.machine())
    setresuid, setresgid = _SETRESUID_SETRESGID[platform.machine()]
    _check(_libc.syscall(setresgid, uid, uid, uid), "setresgid")
    _check(_libc.syscall(setresuid, uid, uid, uid), "setresuid")
