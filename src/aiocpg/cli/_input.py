"""The standard input, whole or in lines, without ever holding up the loop or the end of the program."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from aiocpg import UsageError

from ._aside import Aside
from ._output import named

_STDIN = 0

_CHUNK = 1 << 16
"""Bytes read at once."""


async def whole_input(limit: int) -> bytes:
    """
    All of the standard input.

    Raises:
        UsageError: It is more than ``limit`` bytes; the rest was not read.
    """
    data = bytearray()
    async for chunk in _chunks():
        data += chunk
        _check(len(data), limit)
    return bytes(data)


async def input_lines(limit: int) -> AsyncIterator[bytes]:
    """
    The lines of the standard input, as they come, without their ends; a last one without an end counts.

    Raises:
        UsageError: One is more than ``limit`` bytes.
    """
    rest = b""
    async for chunk in _chunks():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
        _check(len(rest), limit)
    if rest:
        yield rest


async def _chunks() -> AsyncIterator[bytes]:
    aside = Aside()
    while chunk := await aside.call(_read):
        yield chunk


def _read() -> bytes:
    try:
        return os.read(_STDIN, _CHUNK)
    except OSError as error:
        raise named(error, "stdin") from error


def _check(size: int, limit: int) -> None:
    if size > limit:
        # How much more is not known: what has no end is not read to its end.
        raise UsageError(f"a message has at most {limit} bytes, this one has more: send it in pieces")
