"""
One wheel for all: on each CPython of this machine it installs without a compiler, and does what it is for.

CPythons are looked for on the PATH and with pyenv; those that are not there are not tested here, and missed by
``scripts/release-check``. What the wheel needs comes from the index, since cffi has a wheel for each of them.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from releasing import interpreters

from aiocpg.testing import ClusterNode
from support.packages import ROOT, run

CLASSIFIERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
SUPPORTED = [found[1] for line in CLASSIFIERS if (found := re.search(r":: (3\.\d+)$", line))]
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
FOUND = {version: path for version in SUPPORTED if (path := interpreters.find(version)) is not None}

PROGRAM = """
import asyncio, pkgutil, sys
import aiocpg, aiocpg.engine._libcpg._shim as shim

# An extra's module may miss its extra, and the one that describes the extension to cffi belongs to the build.
EXTRAS = {"aiohttp", "opentelemetry", "prometheus_client", "pytest", "rich", "trio", "typer"}
for module in pkgutil.walk_packages(aiocpg.__path__, "aiocpg."):
    if module.name in {"aiocpg.__main__", "aiocpg.engine._libcpg.build"}:
        continue
    try:
        __import__(module.name)
    except ImportError as error:
        missing = error.name or getattr(error.__context__, "name", None) or ""
        if missing.split(".")[0] not in EXTRAS:
            raise
assert shim.__file__.endswith("_shim.abi3.so"), shim.__file__

async def talk(url, native):
    async with aiocpg.connect(url) as cpg, cpg.join("interpreters") as group:
        messages = group.messages()
        await group.mcast_confirmed(b"small")
        await group.mcast(b"x" * native, native=native > group.max_message_size)
        for size in 5, native:
            async with asyncio.timeout(30):
                assert len((await anext(messages)).data) == size
        [me] = await cpg.members("interpreters")
        assert me == group.me

for url, native in ("corosync://", 3_000_000), ("local://interpreters", 1000), ("memory://interpreters", 1000):
    asyncio.run(talk(url, native))
    print(sys.implementation.name, "%d.%d" % sys.version_info[:2], url)
"""

pytestmark = pytest.mark.slow


def test_own_interpreter_is_found() -> None:
    """The search finds the one it runs on, so a machine has at least that."""
    assert OWN in FOUND


def test_unknown_interpreter_is_not_found() -> None:
    """Neither a version that does not exist nor one that only a name on the PATH promises."""
    assert interpreters.find("3.1") is None


@pytest.mark.parametrize("version", FOUND)
def test_wheel_runs_on(version: str, wheel: Path, node: ClusterNode, local_directory: Path, tmp_path: Path) -> None:
    """It talks to a real daemon, to a broker and to itself."""
    run(FOUND[version], "-m", "venv", "--without-pip", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--only-binary=:all:", wheel)
    program = [python, "-I", "-X", "dev", "-W", "error", "-c", PROGRAM]
    with node.spawn(program, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        # libcpg talks on stderr while it waits for room for a large message.
        printed, said = process.communicate(timeout=90)
    urls = ("corosync://", "local://interpreters", "memory://interpreters")
    assert printed.splitlines() == [f"cpython {version} {url}" for url in urls], said
    assert process.returncode == 0, said
