"""The package: its names, and what one is told where aiohttp is not installed."""

from __future__ import annotations

import subprocess
import sys

import aiohttp

import aiocpg.aiohttp

WITHOUT = """
import sys
sys.modules["aiohttp"] = None
import aiocpg, aiocpg.asgi
try:
    import aiocpg.aiohttp
except ImportError as error:
    print(error)
"""


def test_name_is_no_obstacle_to_the_framework() -> None:
    """Inside and outside of our package ``import aiohttp`` is the framework."""
    assert aiohttp.__name__ == "aiohttp"
    assert aiocpg.aiohttp._health.web is aiohttp.web


def test_missing_extra_is_named() -> None:
    """Neither the package nor its ASGI side needs it."""
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "aiocpg.aiohttp needs aiohttp, which comes with: pip install 'aiocpg[aiohttp]'"
