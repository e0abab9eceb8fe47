"""
Metrics and traces by OpenTelemetry. Needs the extra ``otel``, which is its API alone: the SDK is the application's.
"""

import importlib.util

# Others put packages into this namespace too.
if importlib.util.find_spec("opentelemetry") is None or importlib.util.find_spec("opentelemetry.trace") is None:
    raise ModuleNotFoundError(
        "aiocpg.otel needs opentelemetry-api, which comes with: pip install 'aiocpg[otel]'", name="opentelemetry"
    )

from aiocpg.otel._metrics import Metrics
from aiocpg.otel._reading import Traced, traced
from aiocpg.otel._sending import mcast_groups

__all__ = ["Metrics", "Traced", "mcast_groups", "traced"]
