"""The engine for the processes of one user on one host: a broker process orders what its clients send."""

from aiocpg.engine.local._engine import LocalEngine, open_url
from aiocpg.engine.local._process import foreground

__all__ = ["LocalEngine", "foreground", "open_url"]
