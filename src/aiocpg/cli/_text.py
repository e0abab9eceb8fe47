"""Bytes as people read and type them. Whatever a group's members send, no control character reaches the terminal."""

from __future__ import annotations

import os
import re

_ESCAPE = re.compile(rb"\\(?:(\\)|x([0-9A-Fa-f]{2})|)")

_LAYOUT = frozenset("\n\r\t")
"""Characters that text is made of and that do not print."""


def as_text(data: bytes) -> str | None:
    """The text that the bytes are in UTF-8, line ends and tabs allowed; None when they are none."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if all(char.isprintable() or char in _LAYOUT for char in text) else None


def shown(data: bytes) -> str:
    """Bytes on one line: what prints as it is, all else as ``\\n``, ``\\x1b``, ``\\u202e``."""
    text = data.decode(errors="backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def shown_name(name: bytes) -> str:
    """A group's name so that it can be typed: a backslash is doubled, what does not print is ``\\xHH`` a byte."""
    text = name.decode(errors="surrogateescape").replace("\\", "\\\\")
    return "".join(char if char.isprintable() else _hex(char) for char in text)


def _hex(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode(errors="surrogateescape"))


def typed_name(name: str) -> bytes:
    """
    The name that :func:`shown_name` shows so.

    Raises:
        ValueError: A backslash is followed by something else.
    """
    return _ESCAPE.sub(_unescaped, os.fsencode(name))


def _unescaped(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return b"\\"
    if found[2]:
        return bytes.fromhex(found[2].decode())
    raise ValueError("in a group's name a backslash is written \\\\, and any byte \\xHH")
