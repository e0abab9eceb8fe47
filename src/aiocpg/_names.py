"""Group names: what is a good one. Nothing else lives here."""

from __future__ import annotations

from aiocpg.errors import GroupNameError

MAX_NAME_LENGTH = 127
"""Bytes in a group name. libcpg's buffer has 128, but the daemon uses a full one unterminated (exec/cpg.c)."""


def group_name(name: bytes | str) -> bytes:
    """
    The name as the bytes that travel.

    Text is encoded as UTF-8. Any byte is allowed and a trailing NUL is kept, because Pacemaker's names end in one.

    Raises:
        GroupNameError: The name is empty (such a member would never be seen to leave), longer than 127 bytes,
            not text that has a UTF-8 form, or neither ``bytes`` nor ``str``.
    """
    if isinstance(name, str):
        try:
            encoded = name.encode()
        except UnicodeEncodeError as error:
            raise GroupNameError(name, "has no UTF-8 form; give it as bytes") from error
    elif isinstance(name, bytes):
        encoded = name
    else:
        raise GroupNameError(name, f"must be bytes or str, not {type(name).__name__}")
    if not encoded:
        raise GroupNameError(name, "must not be empty")
    if len(encoded) > MAX_NAME_LENGTH:
        raise GroupNameError(name, f"has {len(encoded)} bytes, the limit is {MAX_NAME_LENGTH}")
    return encoded
