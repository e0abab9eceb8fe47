"""
Hooks that make a skip a failure where ``AIOCPG_REQUIRE=all`` is set, as CI does.

A suite that skips what it cannot run is green on a machine where it tested nothing.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

VARIABLE = "AIOCPG_REQUIRE"


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a value that would be ignored in silence."""
    value = os.environ.get(VARIABLE, "")
    if value not in {"", "all"}:
        raise pytest.UsageError(f"{VARIABLE}={value}: only 'all' is known")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a test into its failure."""
    report = yield
    _forbid_skip(report, item.nodeid)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the skip of a whole module into its failure."""
    report = yield
    _forbid_skip(report, collector.nodeid)
    return report


def _forbid_skip(report: Any, nodeid: str) -> None:
    if report.skipped and os.environ.get(VARIABLE) == "all":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else "expected to fail"
        report.outcome = "failed"
        # With this attribute the session would count the failure as an expected one and end green.
        vars(report).pop("wasxfail", None)
        report.longrepr = f"{nodeid}: {reason}\n{VARIABLE}=all: nothing may be skipped"
