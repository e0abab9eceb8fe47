"""The rules of a release, and the search for interpreters: what ``scripts/release-check`` decides by."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from releasing import interpreters, rules
from releasing.checks import Release, changelog, clean, version

GOOD = """\
# Changelog

## [1.2.3] - 2026-12-01

### Added

- Something.

## [1.2.2] - 2026-11-01

- Something else.
"""
TODAY = "## [1.2.3] - 2026-12-01"


def test_changelog_is_good_when_its_newest_release_is_the_version() -> None:
    """A date, and something to say; an empty heading for what comes may stand above."""
    assert rules.changelog_problems(GOOD, "1.2.3") == []
    assert rules.changelog_problems(GOOD.replace(TODAY, f"## [Unreleased]\n\n{TODAY}"), "1.2.3") == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (GOOD.replace("1.2.3", "1.2.4"), "the newest release in CHANGELOG.md is 1.2.4, not 1.2.3"),
        (GOOD.replace(TODAY, "## [Unreleased]"), "entries under [Unreleased]"),
        (GOOD.replace(TODAY, f"## [Unreleased]\n\n- More.\n\n{TODAY}"), "entries under [Unreleased]"),
        (GOOD.replace(" - 2026-12-01", ""), "gives 1.2.3 no date"),
        (GOOD.replace("2026-12-01", "soon"), "gives 1.2.3 no date"),
        (GOOD.replace("### Added\n\n- Something.\n", ""), "says nothing about 1.2.3"),
        ("# Changelog\n", "is none, not 1.2.3"),
    ],
)
def test_changelog_that_tells_something_else_is_a_problem(text: str, problem: str) -> None:
    """What was forgotten is named."""
    assert any(problem in found for found in rules.changelog_problems(text, "1.2.3"))


@pytest.mark.parametrize("name", ["1.2.3", "0.1.0", "1.0.0rc1", "2.0.0a12"])
def test_version_is_good_when_its_tag_is_free_or_here(name: str) -> None:
    """Before the tag is given, and after."""
    assert rules.version_problems(name, ["v0.0.9"], []) == []
    assert rules.version_problems(name, ["v0.0.9", f"v{name}"], [f"v{name}"]) == []


@pytest.mark.parametrize("name", ["1.2", "v1.2.3", "1.2.3-1", "1.2.3.dev4", "1.2.3+local"])
def test_version_that_is_none_is_a_problem(name: str) -> None:
    """An index would refuse it, or sort it where nobody looks."""
    assert rules.version_problems(name, [], []) != []


def test_version_that_is_out_is_a_problem() -> None:
    """A second commit cannot be the same release."""
    (problem,) = rules.version_problems("1.2.3", ["v1.2.3"], ["v1.2.2"])
    assert "the tag v1.2.3 is on another commit" in problem


def test_files_are_good_when_they_are_an_sdist_and_a_wheel() -> None:
    """Names as an index wants them."""
    wheel = "aiocpg-1.2.3-cp311-abi3-manylinux_2_34_x86_64.whl"
    assert rules.name_problems([wheel, "aiocpg-1.2.3.tar.gz"], "1.2.3") == []


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["aiocpg-1.2.3.tar.gz"],
        ["aiocpg-1.2.3.tar.gz", "aiocpg-1.2.3-cp311-abi3-linux_x86_64.whl"],
        ["aiocpg-1.2.3.tar.gz", "aiocpg-1.2.3-cp311-cp311-manylinux_2_34_x86_64.whl"],
        ["aiocpg-1.2.2.tar.gz", "aiocpg-1.2.2-cp311-abi3-manylinux_2_34_x86_64.whl"],
        ["aiocpg-1.2.3.tar.gz", "aiocpg-1.2.3-cp311-abi3-manylinux_2_34_x86_64.whl", "notes"],
    ],
)
def test_other_files_are_a_problem(names: list[str]) -> None:
    """A wheel that no index takes, of one CPython alone, of another version, one file too many."""
    assert rules.name_problems(names, "1.2.3") != []


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """Provide a checkout with one commit, ready to be released."""
    (tmp_path / "src" / "aiocpg").mkdir(parents=True)
    (tmp_path / "src" / "aiocpg" / "__init__.py").write_text('"""Package."""\n\n__version__ = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(GOOD)
    release = Release(tmp_path, tmp_path, tmp_path)
    release.git("init", "--quiet")
    commit(release)
    return release


def commit(release: Release) -> None:
    """Commit all there is."""
    release.git("add", "--all")
    release.git("-c", "user.name=me", "-c", "user.email=me@example.org", "commit", "--quiet", "--message=it")


def test_commit_is_ready_before_and_after_its_tag(release: Release) -> None:
    """The checks that look at git and at the files agree."""
    assert clean(release) == version(release) == changelog(release) == []
    release.git("tag", "v1.2.3")
    assert version(release) == []


def test_commit_after_the_tag_is_not_ready(release: Release) -> None:
    """The version has to be another first."""
    release.git("tag", "v1.2.3")
    (release.root / "more.py").touch()
    assert clean(release) == ["not committed: ?? more.py"]
    commit(release)
    assert clean(release) == []
    assert version(release) != []


def test_program_that_fails_is_a_problem_with_what_it_printed(release: Release) -> None:
    """The one who releases sees why."""
    assert release.run(sys.executable, "-c", "print('fine')") == []
    (problem,) = release.run(sys.executable, "-c", "raise SystemExit('why not')")
    assert "why not" in problem


def test_script_says_what_is_missing_and_fails(release: Release) -> None:
    """The quick checks alone, in a checkout whose version has no entry in the changelog."""
    (release.root / "CHANGELOG.md").write_text(GOOD.replace(TODAY, "## [Unreleased]"))
    (release.root / "pyproject.toml").write_text("[project]\nclassifiers = []\n")
    commit(release)
    program = "import runpy, sys; sys.argv[1:] = ['--quick']; runpy.run_module('releasing', run_name='__main__')"
    variables = {"PYTHONPATH": str(Path(rules.__file__).parents[1]), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=release.root, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "aiocpg 1.2.3 is not ready: changelog", done.stderr


def test_name_on_the_path_that_does_not_run_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shim of pyenv stands there for each version it knows, and refuses to run those that are not chosen."""
    shim = tmp_path / "python3.11"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert interpreters.find("3.11") is None
    shim.write_text("#!/bin/sh\necho 'cpython|3.11|/opt/python'\n")
    assert interpreters.find("3.11") == Path("/opt/python")
    assert interpreters.find("3.12") is None
