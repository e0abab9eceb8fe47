"""
Groups in an aiohttp application: joined at its start, left at its end, shown to browsers. Needs the extra ``aiohttp``.

Inside this package ``aiohttp`` is the framework: imports are absolute.
"""

import importlib.util

if importlib.util.find_spec("aiohttp") is None:
    raise ModuleNotFoundError(
        "aiocpg.aiohttp needs aiohttp, which comes with: pip install 'aiocpg[aiohttp]'", name="aiohttp"
    )

from aiocpg.aiohttp._context import CONNECTION, group_context, group_key
from aiocpg.aiohttp._encoding import encode_json
from aiocpg.aiohttp._fanout import Fanout, websocket_fanout
from aiocpg.aiohttp._health import liveness, readiness

__all__ = [
    "CONNECTION",
    "Fanout",
    "encode_json",
    "group_context",
    "group_key",
    "liveness",
    "readiness",
    "websocket_fanout",
]
