"""
The engine inside this process: worlds by name, where an order is a call and nodes are as many as asked for.

``_worlds`` knows the worlds, ``_world`` is one of them, ``_backlog`` what waits for one member; ``_engine`` and
``_membership`` are what every engine has, ``_loops`` tells the event loops.
"""

from aiocpg.engine.memory._engine import MemoryEngine, open_url
from aiocpg.engine.memory._loops import LOCK
from aiocpg.engine.memory._world import World
from aiocpg.engine.memory._worlds import check_name, find_world, private_name

__all__ = ["LOCK", "MemoryEngine", "World", "check_name", "find_world", "open_url", "private_name"]
