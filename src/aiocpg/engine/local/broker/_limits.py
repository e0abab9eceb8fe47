"""What a client may cost the broker, and the others."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """Bytes are of frames that wait for one client, beside what the kernel holds."""

    clients: int = 1024
    """Sockets, connections and joins together."""
    share: int = 512
    """Of these that one process may have."""
    hello_seconds: float = 5.0
    """Until a socket has introduced itself."""
    high: int = 8 * 1024 * 1024
    """When so much waits for a member, nothing more is read from the members of its group."""
    low: int = 2 * 1024 * 1024
    """When no member is behind by more, reading goes on."""
    grace_seconds: float = 5.0
    """How long one member may hold up the others, and one that has left may go on reading; then it is cut off."""
    again_seconds: float = 60.0
    """How long a process of which a member was cut off holds up nobody: those of its members are cut off at once."""
    answers: int = 1024 * 1024
    """When so many bytes of answers wait for a connection, no further question of its is read."""
    frames: int = 32
    """Of one client that are looked at before it is another one's turn."""
    turn_seconds: float = 0.01
    """How long frames are looked at until sockets are read and written again."""
    chunk: int = 256 * 1024
    """Bytes that are handed to a transport at once."""
    farewell_seconds: float = 5.0
    """How long a client that is cut off may take to read the reason."""
    look_seconds: float = 30.0
    """Between two looks at the broker's files."""


LIMITS = Limits()
