"""Which handles a message is for: the groups that each has joined, and the match with a message's groups. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeAlias, TypeVar

from aiocpg.errors import NotJoinedError, TooManyGroupsError
from aiocpg.evs._values import KEY_SIZE, EvsGroup
from aiocpg.evs._wire.data import MAX_KEYS

MOST_GROUPS_AT_ONCE = 50
"""Groups that one ``join`` or ``leave`` takes (``lib/evs.c``); several calls may add up to more."""

T = TypeVar("T")


class Joined:
    """
    The groups that one handle has joined: a multiset, as in the old interface. Nobody else is told of it.

    Args:
        changed: Called when it is another set than before.
    """

    def __init__(self, changed: Callable[[], object]) -> None:
        self._groups: Counter[EvsGroup] = Counter()
        self._keys: bytes | None = b""
        self._changed = changed

    def join(self, groups: Sequence[EvsGroup]) -> None:
        """
        Join each of them once more.

        Raises:
            TooManyGroupsError: They are more than 50; none was joined.
        """
        self._groups.update(at_once(groups))
        self._keys = None
        self._changed()

    def leave(self, groups: Sequence[EvsGroup]) -> None:
        """
        Leave each of them once, in order.

        Raises:
            NotJoinedError: One is not joined; those before it were left, those behind it were not.
            TooManyGroupsError: They are more than 50; none was left.
        """
        for place, group in enumerate(at_once(groups)):
            if not self._groups[group]:
                raise NotJoinedError(group, tuple(groups[:place]))
            self._groups[group] -= 1
            self._keys = None
            self._changed()

    @property
    def groups(self) -> tuple[EvsGroup, ...]:
        """All of them, sorted, each as often as it was joined."""
        return tuple(sorted(self._groups.elements()))

    @property
    def keys(self) -> bytes:
        """
        What a message to all of them carries.

        Raises:
            TooManyGroupsError: They are more than 255.
        """
        if self._keys is None:
            self._keys = keys_of(group for group, number in self._groups.items() if number)
        return self._keys

    def match(self, keys: Iterable[bytes]) -> tuple[EvsGroup, ...]:
        """Those of a message's groups that are joined, sorted."""
        groups = map(EvsGroup.exact, keys)
        return tuple(sorted(group for group in groups if self._groups.get(group)))


def at_once(groups: Sequence[EvsGroup]) -> Sequence[EvsGroup]:
    """
    The same groups, if one call takes so many.

    Raises:
        TooManyGroupsError: They are more than 50.
    """
    if len(groups) > MOST_GROUPS_AT_ONCE:
        raise TooManyGroupsError(len(groups), MOST_GROUPS_AT_ONCE)
    return groups


def keys_of(groups: Iterable[EvsGroup]) -> bytes:
    """
    The keys of a message's groups, each once, as they travel.

    Raises:
        TooManyGroupsError: They are more than 255.
    """
    keys = sorted({group.key for group in groups})
    if len(keys) > MAX_KEYS:
        raise TooManyGroupsError(len(keys), MAX_KEYS)
    return b"".join(keys)


Route: TypeAlias = tuple[T, tuple[EvsGroup, ...]]
"""A handle, and which of a message's groups it has joined."""

_MOST_KNOWN = 1024


class Routes(Generic[T]):
    """Where messages go. What was looked up is kept until somebody joins, leaves, comes or goes."""

    def __init__(self) -> None:
        self._handles: dict[T, Joined] = {}
        self._known: dict[bytes, list[Route[T]]] = {}

    def add(self, handle: T) -> Joined:
        """A handle, which has joined nothing yet."""
        joined = self._handles[handle] = Joined(self._known.clear)
        return joined

    def remove(self, handle: T) -> None:
        """A handle is gone."""
        del self._handles[handle]
        self._known.clear()

    def of(self, keys: bytes) -> list[Route[T]]:
        """The handles that a message with these keys is for."""
        routes = self._known.get(keys)
        if routes is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            routes = self._known[keys] = self._look_up(keys)
        return routes

    def _look_up(self, keys: bytes) -> list[Route[T]]:
        each = [keys[start : start + KEY_SIZE] for start in range(0, len(keys), KEY_SIZE)]
        found = ((handle, joined.match(dict.fromkeys(each))) for handle, joined in self._handles.items())
        return [(handle, groups) for handle, groups in found if groups]
