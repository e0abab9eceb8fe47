"""Who is connected to a daemon: what it is told, and where it stands with the group."""

from __future__ import annotations

import enum
from collections import deque
from typing import NamedTuple, TypeAlias

from aiocpg import Address, ConfigurationChange, RingChange


class Frame(NamedTuple):
    """A message of the group. ``missing``: whose frames before it were never heard, where it is behind a hole."""

    source: Address
    data: bytes
    missing: frozenset[Address] = frozenset()


Told: TypeAlias = ConfigurationChange | RingChange | Frame


class Standing(enum.Enum):
    """Where a client stands with the group."""

    OUT = enum.auto()
    JOINING = enum.auto()
    MEMBER = enum.auto()
    LEAVING = enum.auto()


class Client:
    """
    A process with a connection.

    Attributes:
        address: Its address.
        inbox: What it was told and has not read.
        standing: Where it stands with the group.
        is_up: Whether it lives.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.inbox: deque[Told] = deque()
        self.standing = Standing.OUT
        self.is_up = True

    @property
    def is_listening(self) -> bool:
        """Whether it is told what happens in the group."""
        return self.is_up and self.standing in {Standing.MEMBER, Standing.LEAVING}
