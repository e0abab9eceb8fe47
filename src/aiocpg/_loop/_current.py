"""Which loop runs here."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from ._asyncio import AsyncioPort
from ._port import LoopPort


def current_port() -> LoopPort:
    """The port of the running loop. Raises RuntimeError where none runs."""
    # Asked of the finished module: another thread may just be importing trio.
    lowlevel: Any = sys.modules.get("trio.lowlevel")
    in_trio_task = getattr(lowlevel, "in_trio_task", None)
    # trio first: as a guest it runs inside an asyncio loop, and then the task at hand is trio's.
    if in_trio_task is not None and in_trio_task():
        from ._trio import TrioPort  # noqa: PLC0415 - trio is optional, and here it is running

        return TrioPort(lowlevel.current_trio_token())
    return AsyncioPort(asyncio.get_running_loop())
