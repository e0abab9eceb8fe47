"""Fault tests run on asyncio, a sample of them on the other loops; what they measure is printed at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from faults.watching import Measured
from support.loops import BACKENDS


@pytest.fixture(scope="module", params=[BACKENDS["asyncio"]], ids=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run on asyncio unless a test asks for more."""
    return request.param


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Measured:
    """Provide a function that records a measurement; nothing is asserted of it."""

    def record(name: str, value: float, unit: str) -> None:
        text = str(value) if isinstance(value, int) else f"{value:.4g}"
        record_property(f"measured: {name}", f"{text} {unit}".rstrip())

    return record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured, test by test."""
    reports = [report for group in terminalreporter.stats.values() for report in group]
    lines = [
        f"{report.nodeid.rpartition('::')[2]}: {name.removeprefix('measured: ')} {value}"
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name.startswith("measured: ")
    ]
    if lines:
        terminalreporter.section("measured")
        terminalreporter.write_line("\n".join(lines))
