"""The engine for real clusters: libcpg and the corosync daemon of this host."""

from aiocpg.engine.corosync._daemon import Daemon
from aiocpg.engine.corosync._engine import CorosyncEngine, open_engine, open_url

__all__ = ["CorosyncEngine", "Daemon", "open_engine", "open_url"]
