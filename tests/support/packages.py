"""
Fixtures: what is handed out, an sdist of a clean copy of this checkout, and the wheel that it makes, as it is uploaded.

The builds run without network: the build tools are those of this environment. ``AIOCPG_DIST`` names a directory with
both files made elsewhere, which are then tested in their place; ``scripts/release-check`` does that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = "AIOCPG_DIST"
LITTER = shutil.ignore_patterns(".*", "*.so", "*.o", "_shim.c", "__pycache__", "*.egg-info", "build", "dist", "_build")


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a program and return what it prints; its errors are shown when it fails. Our own tools are found first."""
    tools = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=cwd, env=tools, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build(kind: str, source: Path, into: Path) -> Path:
    """Build a wheel or an sdist and return the file."""
    run(sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", into, source)
    (made,) = into.iterdir()
    return made


def given(pattern: str) -> Path | None:
    """Return the file that was made elsewhere and is to be tested."""
    directory = os.environ.get(VARIABLE)
    if not directory:
        return None
    (found,) = Path(directory).glob(pattern)
    return found


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this checkout without what lies about in it, which neither helps a build nor hurts it."""
    copy = tmp_path_factory.mktemp("copy") / "checkout"
    shutil.copytree(ROOT, copy, ignore=LITTER)
    return copy


@pytest.fixture(scope="session")
def sdist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist of a clean copy of this checkout."""
    return given("*.tar.gz") or build("sdist", checkout, tmp_path_factory.mktemp("sdist") / "dist")


@pytest.fixture(scope="session")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that the unpacked sdist makes, with the tag of the oldest C library that it runs with."""
    if (ready := given("*.whl")) is not None:
        return ready
    work = tmp_path_factory.mktemp("wheel")
    run("tar", "--extract", "--file", sdist, "--directory", work)
    made = build("wheel", work / sdist.name.removesuffix(".tar.gz"), work / "dist")
    run("auditwheel", "repair", "--wheel-dir", work / "repaired", made)
    (repaired,) = (work / "repaired").iterdir()
    return repaired


@pytest.fixture(scope="session")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment with the wheel; its dependencies are those of this environment."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    run(python, "-m", "pip", "install", "--no-index", "--no-deps", wheel)
    # Directories named in a .pth file are not searched for more of them, so the editable install stays out of sight.
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python
