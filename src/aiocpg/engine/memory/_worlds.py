"""The worlds of this process, by name. One lives while somebody is in it or controls it; then its name is free."""

from __future__ import annotations

import itertools
import os
from urllib.parse import urlsplit

from aiocpg.engine._url import place_in
from aiocpg.engine.memory._loops import LOCK
from aiocpg.engine.memory._world import World
from aiocpg.errors import EngineUnavailableError

_worlds: dict[str, World] = {}

_PRIVATE = "MemoryCluster."
"""What names begin with that are made for a cluster. Nobody but the cluster makes such a world."""

_numbers = itertools.count(1)


def private_name() -> str:
    """A name that nobody has had."""
    return f"{_PRIVATE}{next(_numbers)}"


def check_name(name: str) -> None:
    """Raise UsageError where a world cannot be called so."""
    place_in(urlsplit(f"memory://{name}"), frozenset())


def find_world(name: str, *, to_control: bool = False) -> World:
    """
    The world of this name, perhaps a new one; whoever asks enters it, or controls it, under the same lock.

    Raises:
        EngineUnavailableError: It was a cluster's own, and ended with it.
    """
    if name in _worlds:
        _worlds[name].sweep()  # which may be the end of it
    if name not in _worlds:
        if name.startswith(_PRIVATE) and not to_control:
            raise EngineUnavailableError(f"memory://{name} is over", "its MemoryCluster was closed: make another one")
        _worlds[name] = World(name, _forget)
    return _worlds[name]


def _forget(world: World) -> None:
    if _worlds.get(world.name) is world:
        del _worlds[world.name]


def _begin_anew() -> None:
    """In a fork: the loops are the parent's, and so is whatever was opened in them."""
    for world in list(_worlds.values()):
        world.forsake()
    _worlds.clear()
    LOCK.release()


# The fork waits until no other thread is in the middle of something.
os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=_begin_anew)
