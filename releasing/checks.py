"""
Looks at the checkout, makes what is to be uploaded from its last commit, and tries it.

Each check returns what is wrong, a text each; an empty list is a pass.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from . import bare, interpreters, rules

_VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)


@dataclass(frozen=True)
class Release:
    """A checkout, and two directories that are empty at first: one for the files to upload, one to work in."""

    root: Path
    dist: Path
    work: Path

    @property
    def version(self) -> str:
        """The version, from its one place."""
        (version,) = _VERSION.findall((self.root / "src/aiocpg/__init__.py").read_text())
        return str(version)

    @property
    def pythons(self) -> list[str]:
        """The versions of CPython that the metadata promises."""
        project = tomllib.loads((self.root / "pyproject.toml").read_text())["project"]
        return [found[1] for line in project["classifiers"] if (found := re.search(r":: (3\.\d+)$", line))]

    @property
    def wheel(self) -> Path:
        """The wheel to upload."""
        (wheel,) = self.dist.glob("*.whl")
        return wheel

    def git(self, *arguments: str) -> str:
        """Run git in the checkout, whoever owns it."""
        trusted = ("-c", f"safe.directory={self.root}")
        return subprocess.check_output(["git", *trusted, *arguments], cwd=self.root, text=True)

    def run(self, *command: str | Path, **environment: str) -> list[str]:
        """Run a program in the checkout; what it printed is the problem if it fails."""
        variables = {**os.environ, **environment}
        done = subprocess.run(
            command,
            cwd=self.root,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return [f"{' '.join(map(str, command))} failed:\n{done.stdout}"] if done.returncode else []


def clean(release: Release) -> list[str]:
    """Nothing lies about that a build from the commit would lack."""
    return [f"not committed: {line}" for line in release.git("status", "--porcelain").splitlines()]


def version(release: Release) -> list[str]:
    """The version is new, and one that sorts."""
    tags = release.git("tag", "--list").split()
    return rules.version_problems(release.version, tags, release.git("tag", "--points-at", "HEAD").split())


def changelog(release: Release) -> list[str]:
    """The changelog tells of this version."""
    return rules.changelog_problems((release.root / "CHANGELOG.md").read_text(), release.version)


def build(release: Release) -> list[str]:
    """The commit makes an sdist, the sdist a wheel, each in an environment of its own, and auditwheel accepts that."""
    source, built = release.work / "source", release.work / "built"
    source.mkdir()
    release.git("archive", f"--output={release.work}/source.tar", "HEAD")
    return (
        release.run("tar", "--extract", f"--file={release.work}/source.tar", f"--directory={source}")
        or release.run(sys.executable, "-m", "build", "--outdir", built, source)
        or release.run("auditwheel", "repair", "--wheel-dir", release.dist, *built.glob("*.whl"))
        or release.run("cp", *built.glob("*.tar.gz"), release.dist)
        or rules.name_problems([path.name for path in release.dist.iterdir()], release.version)
    )


def metadata(release: Release) -> list[str]:
    """The index will take the metadata, and can show the README."""
    return release.run(sys.executable, "-m", "twine", "check", "--strict", *release.dist.iterdir())


def pythons(release: Release) -> list[str]:
    """Every CPython that the metadata promises is there to be tried."""
    return [
        f"no CPython {one}, neither on the PATH nor with pyenv" for one in release.pythons if not interpreters.find(one)
    ]


def from_source(release: Release) -> list[str]:
    """The newest CPython makes a wheel of the sdist with the build requirements alone, as for a distribution."""
    newest = interpreters.find(release.pythons[-1])
    if newest is None:
        return [f"no CPython {release.pythons[-1]} to build with"]
    into = ("--no-deps", "--no-binary=aiocpg", "--wheel-dir", release.work / "newest")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--python", newest)
    return release.run(*pip, "wheel", *into, *release.dist.glob("*.tar.gz"))


def tested(release: Release) -> list[str]:
    """The tests of what is handed out pass on these very files, on each CPython."""
    pytest = (sys.executable, "-m", "pytest", "--quiet", "tests/test_packaging.py", "tests/test_interpreters.py")
    return release.run(*pytest, AIOCPG_DIST=str(release.dist), AIOCPG_REQUIRE="all")


def without_corosync(release: Release) -> list[str]:
    """In a Debian that has Python and no Corosync it installs without a compiler, imports, and says what is missing."""
    return bare.problems(release.wheel, release.work / "bare")


def docs(release: Release) -> list[str]:
    """The docs build without a warning, and no link in them or beside them leads nowhere."""
    built = release.run("scripts/docs")
    return built or release.run(sys.executable, "-m", "pytest", "--quiet", "tests/test_links.py")


def external_links(release: Release) -> list[str]:
    """Every page that the docs point to answers."""
    return release.run("scripts/docs", "--linkcheck")


def keep(release: Release) -> None:
    """Leave the files that were checked in dist/, in place of those of an earlier run."""
    into = release.root / "dist"
    into.mkdir(exist_ok=True)
    for old in into.glob("aiocpg-*"):
        old.unlink()
    for path in release.dist.iterdir():
        shutil.copy(path, into)
