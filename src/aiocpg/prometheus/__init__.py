"""
The numbers of connections and groups for Prometheus, read when they are asked for. Needs the extra ``prometheus``.
"""

import importlib.util

if importlib.util.find_spec("prometheus_client") is None:
    raise ModuleNotFoundError(
        "aiocpg.prometheus needs prometheus_client, which comes with: pip install 'aiocpg[prometheus]'",
        name="prometheus_client",
    )

from aiocpg.prometheus._collector import Collector

__all__ = ["Collector"]
