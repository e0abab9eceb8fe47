"""The support table keeps to what the metadata promises and to what this run tests."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib

import pytest

from support.pages import DOCS, ROOT

PAGE = (DOCS / "reference" / "support.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def rows(pattern: str) -> list[str]:
    """Return the lines of the tables that begin so."""
    return re.findall(rf"^\| {pattern} .*$", PAGE, re.MULTILINE)


def test_every_promised_cpython_is_one_that_is_tested() -> None:
    """The classifiers, no more and no less, are tested in each run or install the wheel there."""
    promised = [found[1] for line in PROJECT["classifiers"] if (found := re.search(r":: (3\.\d+)$", line))]
    tested = [row.split()[1] for row in rows(r"3\.\d+ \|") if "each run" in row or "the same" in row]
    assert tested == promised


@pytest.mark.parametrize("name", ["anyio", "cffi"])
def test_oldest_dependency_is_the_one_of_the_metadata(name: str) -> None:
    """The version from which on it is supported."""
    (bound,) = (line.partition(">=")[2] for line in PROJECT["dependencies"] if line.startswith(name))
    (row,) = rows(name)
    assert row.split("|")[2].strip() == bound


def test_corosync_of_this_run_is_in_the_table() -> None:
    """Where the tests run on a version that the page does not know, it is time to write that down."""
    corosync = shutil.which("corosync", path="/usr/sbin:/sbin:/usr/bin")
    assert corosync is not None
    (version,) = re.findall(r"version '(\d+\.\d+\.\d+)", subprocess.check_output([corosync, "-v"], text=True))
    assert rows(re.escape(version) + ",")
