"""A Debian with Python and without Corosync, made for one look at a wheel. Needs root, debootstrap and the network."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

_SUITE = "bookworm"

_PROGRAM = """
import asyncio
import aiocpg, aiocpg.evs, aiocpg.lowlevel, aiocpg.testing

async def main():
    try:
        await aiocpg.connect("corosync://")
    except aiocpg.EngineUnavailableError as error:
        print(error)
    async with aiocpg.connect("local://bare") as cpg, cpg.join("bare") as group:
        print("receipt", (await group.mcast_confirmed(b"hello")).position)

asyncio.run(main())
"""

_PROMISED = ("libcpg.so.4", "libcpg4 on Debian", "receipt 1")


def problems(wheel: Path, root: Path) -> list[str]:
    """
    Install a wheel where there is no Corosync, and use it.

    Args:
        wheel: The file.
        root: Where the system is made; does not exist yet.
    """
    try:
        _make(root)
        _download(wheel, root / "wheels")
        _inside(root, "python3", "-m", "venv", "/venv")
        pip = ("/venv/bin/pip", "install", "--quiet", "--no-index", "--find-links=/wheels")
        _inside(root, *pip, f"/wheels/{wheel.name}")
        said = _inside(root, "/venv/bin/python", "-I", "-W", "error", "-c", _PROGRAM)
    except subprocess.CalledProcessError as error:
        return [f"{error}:\n{error.stdout}"]
    return [f"{promised!r} is not in what it says there:\n{said}" for promised in _PROMISED if promised not in said]


def _make(root: Path) -> None:
    packages = "--include=python3,python3-venv"
    _run("debootstrap", "--variant=minbase", packages, _SUITE, root)


def _download(wheel: Path, into: Path) -> None:
    # The wheels are fetched out here, so that the system needs no network of its own; its Python is 3.11.
    like = ("--only-binary=:all:", "--python-version=3.11", "--implementation=cp", "--abi=cp311", "--abi=abi3")
    _run(sys.executable, "-m", "pip", "download", "--quiet", f"--dest={into}", *like, wheel)
    shutil.copy(wheel, into)


def _inside(root: Path, *command: str) -> str:
    return _run("chroot", root, "env", "-i", "PATH=/usr/bin:/bin", "HOME=/root", *command)


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    return done.stdout
