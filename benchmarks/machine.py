"""What the numbers depend on, beside the program."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiocpg

from .pinning import choose, cpus

KIB_IN_GIB = 2**20


def describe_machine() -> dict[str, Any]:
    """Return the machine and the versions, by name."""
    return {
        "cpu": _first(r"^model name\s*: (.+)$", "/proc/cpuinfo"),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(_first(r"^MemTotal:\s*(\d+) kB$", "/proc/meminfo", "0")) / KIB_IN_GIB, 1),
        "architecture": platform.machine(),
        "kernel": re.split(r"[^\d.]", platform.release())[0],
        "load_before": round(os.getloadavg()[0], 2),
        "places": str(choose(cpus()) or "one CPU for all"),
        "corosync": _corosync(),
        "python": platform.python_version(),
        "aiocpg": aiocpg.__version__,
        **{name: version(name) for name in ("anyio", "uvloop", "trio")},
    }


def _corosync() -> str:
    said = subprocess.run(["corosync", "-v"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version '([\w.]+)", said)
    return found[1] if found else "unknown"


def _first(pattern: str, file: str, otherwise: str = "unknown") -> str:
    found = re.search(pattern, Path(file).read_text(), re.MULTILINE)
    return found[1] if found else otherwise
