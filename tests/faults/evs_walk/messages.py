"""What the members of a walk send: each message is its number and bytes that follow from it."""

from __future__ import annotations

import random
import zlib
from random import Random
from typing import NamedTuple

from aiocpg import Guarantee

GROUPS = ("left", "right")
"""The groups that every member joins. A message is for one of them or for both."""

LARGE = 1_100_000
"""Bytes of a message that goes in pieces for certain; those below half of it go whole."""

SIZES = ((60, 8, 200), (25, 200, 3000), (12, 3000, 60_000), (3, 60_000, 200_000))
"""Weight and range of the sizes of messages that go whole, in bytes."""

MIXED = {Guarantee.SAFE: 5, Guarantee.AGREED: 2, Guarantee.FIFO: 1, Guarantee.UNORDERED: 2}
"""What is sent, and how often, where all is mixed."""

_HEAD = 8
_NOISE = random.Random(0).randbytes(2 * LARGE)


class Content(NamedTuple):
    """A message as it is sent, or as it came."""

    number: int
    size: int
    crc: int


def make(number: int, size: int) -> bytes:
    """The message with this number."""
    start = number * 37 % 1009
    return number.to_bytes(_HEAD, "big") + _NOISE[start : start + size - _HEAD]


def measure(data: bytes) -> Content:
    """Which message it is."""
    return Content(int.from_bytes(data[:_HEAD], "big"), len(data), zlib.crc32(data))


def some_size(rng: Random) -> int:
    """The size of a message that goes whole, most often little."""
    [(_, low, high)] = rng.choices(SIZES, [weight for weight, _, _ in SIZES])
    return rng.randrange(low, high)
