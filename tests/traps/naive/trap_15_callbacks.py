"""Trap 15: keeps the pointers that a callback is given, or lets an exception out of it."""

from __future__ import annotations

import ctypes
import sys

import libcpg
from talk import say

pointers: list[tuple[int, int]] = []


def keep(_handle: int, _group: object, _nodeid: int, _pid: int, message: int, length: int) -> None:
    pointers.append((message, length))


def fail(*_: object) -> None:
    pointers.append((0, 0))
    raise ValueError("this message cannot be read")


handle = libcpg.initialize(keep if sys.argv[1] == "keep" else fail)
libcpg.join(handle, b"group")
libcpg.dispatch(handle)
messages = [b"message %03d" % number for number in range(100)]
for message in messages:
    libcpg.mcast(handle, message)
while len(pointers) < len(messages):
    status = libcpg.dispatch(handle)
    assert status == libcpg.OK
if sys.argv[1] == "keep":
    say(
        "intact",
        sum(ctypes.string_at(*pointer) == message for pointer, message in zip(pointers, messages, strict=True)),
    )
else:
    say("dispatched", status)
