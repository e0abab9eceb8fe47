"""
Every error the library raises, and the words it raises it with.

The first branch says whose fault it is: :class:`UsageError` is ours to mend, :class:`EngineError` is the world's.
Errors carry their data in attributes, make their text in ``__str__``, and survive pickling, because each hands its
constructor's arguments on as ``args``. This file imports nothing of the package.
"""

from __future__ import annotations

__all__ = [
    "AlreadyJoinedError",
    "BusyError",
    "CPGError",
    "ConnectionClosedError",
    "ConnectionLostError",
    "EngineError",
    "EngineUnavailableError",
    "ForkedError",
    "GroupClosedError",
    "GroupNameError",
    "MembershipLostError",
    "MessageLostError",
    "MessageTooBigError",
    "NotJoinedError",
    "SlowConsumerError",
    "StatusError",
    "TooManyGroupsError",
    "UsageError",
]


_DOMAIN = b"aiocpg.evs1:"
"""What the name of a group begins with that is a domain of :mod:`aiocpg.evs`."""


class CPGError(Exception):
    """Anything this library raises on purpose."""

    def fresh(self) -> CPGError:
        """
        The same error anew, without the traceback of an earlier raise.

        What ends a group is raised to many callers, and one object raised twice would show the trail of both.
        """
        error = type(self)(*self.args)
        error.__cause__ = self.__cause__
        return error


class UsageError(CPGError):
    """This side asked for something that cannot be."""


class GroupNameError(UsageError, ValueError):
    """
    A group name that cannot be used.

    Attributes:
        name: What was given.
        reason: What is wrong with it.
    """

    def __init__(self, name: object, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"group name {self.name!r}: {self.reason}"


class MessageTooBigError(UsageError, ValueError):
    """
    A message over the limit; nothing was sent.

    Attributes:
        size: Payload in bytes.
        limit: The most this call takes, in bytes.
        index: Which message of the batch, counted from 0, or None for a single one.
    """

    def __init__(self, size: int, limit: int, index: int | None = None) -> None:
        super().__init__(size, limit, index)
        self.size = size
        self.limit = limit
        self.index = index

    def __str__(self) -> str:
        which = "message" if self.index is None else f"message {self.index} of the batch"
        return (
            f"{which} has {self.size} bytes, the limit is {self.limit}: send it in pieces, "
            "or for C peers as mcast(..., native=True)"
        )


class AlreadyJoinedError(UsageError):
    """
    Another part of this process holds the group; Corosync lets a process join a group once per node.

    Attributes:
        group: The group's name; of a domain of :mod:`aiocpg.evs` that of its CPG group, ``aiocpg.evs1:`` and the
            domain's.
    """

    def __init__(self, group: bytes) -> None:
        super().__init__(group)
        self.group = group

    def __str__(self) -> str:
        if self.group.startswith(_DOMAIN):
            return (
                f"another part of this process is in the domain {self.group.removeprefix(_DOMAIN)!r}, through another "
                "connection or in another event loop, and a process is in a domain once: give all its handles the same "
                "URL or connection, in one loop; among containers that share a corosync, look for a process with the "
                "same pid"
            )
        return (
            f"another part of this process has joined {self.group!r} and a process joins a group once: "
            "share that Group object (its iterators are independent), or leave it first; among containers that share "
            "a corosync, look for a process with the same pid"
        )


class GroupClosedError(UsageError):
    """
    The group was left, or is being left, by this side.

    Attributes:
        group: The group's name.
    """

    def __init__(self, group: bytes) -> None:
        super().__init__(group)
        self.group = group

    def __str__(self) -> str:
        return f"group {self.group!r} was left by this side, or closed with its connection; join it again to go on"


class ConnectionClosedError(UsageError):
    """The connection, or the handle of a domain of :mod:`aiocpg.evs`, was closed by this side."""

    def __str__(self) -> str:
        return "the connection, or the handle, was closed by this side; connect again to go on"


class TooManyGroupsError(UsageError, ValueError):
    """
    More groups than one call of :mod:`aiocpg.evs` takes.

    Attributes:
        number: How many were given.
        limit: How many it takes: 50 to join or leave, 255 to send to.
    """

    def __init__(self, number: int, limit: int) -> None:
        super().__init__(number, limit)
        self.number = number
        self.limit = limit

    def __str__(self) -> str:
        return f"{self.number} groups at once, the limit is {self.limit}: use several calls"


class NotJoinedError(UsageError):
    """
    A group of a domain was left that the handle has not joined.

    Attributes:
        group: The first such group, an :class:`aiocpg.evs.EvsGroup`.
        removed: The groups before it in the call, which were left; of the same class.
    """

    def __init__(self, group: object, removed: tuple[object, ...] = ()) -> None:
        super().__init__(group, removed)
        self.group = group
        self.removed = removed

    def __str__(self) -> str:
        left = ", ".join(repr(str(group)) for group in self.removed)
        before = f"; before it, this call left {left}" if left else ""
        return f"{str(self.group)!r} is not joined here, or was left as often as it was joined{before}"


class BusyError(UsageError, RuntimeError):
    """
    Two tasks read one iterator at once.

    Attributes:
        what: The iterator; of a handle of :mod:`aiocpg.evs`, which has one, the domain.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        own = "a handle" if self.what.startswith("the domain ") else "an iterator"
        return f"another task is reading {self.what}; give each task {own} of its own"


class ForkedError(UsageError):
    """The object was opened by the parent of this process; the parent's membership goes on untouched."""

    def __str__(self) -> str:
        return "opened before fork(): it belongs to the parent process; connect anew in the child"


class EngineError(CPGError):
    """The other side: the library, the daemon or the cluster did not do what was asked."""


class EngineUnavailableError(EngineError):
    """
    The engine cannot be used.

    Attributes:
        reason: What was found.
        cure: What to do about it.
        transient: True when the engine is absent, not ready, or short of something that may be free again, and trying
            again may help; False when only a change of configuration will.
    """

    def __init__(self, reason: str, cure: str, transient: bool = False) -> None:
        super().__init__(reason, cure, transient)
        self.reason = reason
        self.cure = cure
        self.transient = transient

    def __str__(self) -> str:
        return f"{self.reason}: {self.cure}" if self.cure else self.reason


class ConnectionLostError(EngineError, ConnectionError):
    """
    The engine went away. What was handed to it and has not come back may or may not have been sent.

    Attributes:
        reason: How it was noticed.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"connection lost: {self.reason}"


class MembershipLostError(EngineError):
    """
    The group saw us leave although this side never left.

    A leave with the wrong name through another handle of this process does it, for one.

    Attributes:
        group: The group's name.
        reason: The reason of the change, as Corosync names it.
    """

    def __init__(self, group: bytes, reason: str) -> None:
        super().__init__(group, reason)
        self.group = group
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"the group {self.group!r} saw this member go ({self.reason}) although it did not leave: "
            "look for another part of this process that leaves groups by a wrong name, then join again"
        )


class MessageLostError(EngineError):
    """
    The daemon took a message and dropped it; it stands nowhere in the order.

    Attributes:
        group: The group's name.
    """

    def __init__(self, group: bytes) -> None:
        super().__init__(group)
        self.group = group

    def __str__(self) -> str:
        return (
            f"the daemon dropped a message to {self.group!r} after taking it; it was delivered to nobody: send it again"
        )


class StatusError(EngineError):
    """
    A libcpg call returned a status other than CS_OK.

    Attributes:
        call: The function.
        code: The ``cs_error_t`` value.
        name: Its name in corosync/corotypes.h.
    """

    def __init__(self, call: str, code: int, name: str) -> None:
        super().__init__(call, code, name)
        self.call = call
        self.code = code
        self.name = name

    def __str__(self) -> str:
        return f"{self.call}: {self.name} ({self.code})"


class SlowConsumerError(CPGError):
    """
    This reader was too slow and its buffer filled up; the group and its other readers live on.

    Attributes:
        lost: Events this reader did not get.
        limit: Its budget in bytes (payload plus 256 per event).
    """

    def __init__(self, lost: int, limit: int) -> None:
        super().__init__(lost, limit)
        self.lost = lost
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"this reader fell more than {self.limit} bytes behind and lost {self.lost} events: "
            "read faster, raise max_buffered_bytes, or resynchronise and go on reading"
        )
