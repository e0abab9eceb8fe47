"""Modules of an extra that is not installed say which it is, and nothing else needs them."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
sys.modules[{missing!r}] = None
import aiocpg, aiocpg.evs
loaded = [name for name, module in sys.modules.items() if module is not None]
assert not any(name.startswith(("opentelemetry", "prometheus_client")) for name in loaded)
try:
    import aiocpg.{module}
except ModuleNotFoundError as error:
    print(error.name, error)
"""


@pytest.mark.parametrize(
    ("module", "missing", "package"),
    [("otel", "opentelemetry", "opentelemetry-api"), ("prometheus", "prometheus_client", "prometheus_client")],
)
def test_missing_extra_is_named(module: str, missing: str, package: str) -> None:
    """With the command that brings it. The core imports neither."""
    program = PROGRAM.format(module=module, missing=missing)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == (
        f"{missing} aiocpg.{module} needs {package}, which comes with: pip install 'aiocpg[{module}]'"
    )
