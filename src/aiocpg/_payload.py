"""From what people hand in to the bytes of one message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from aiocpg._events import Buffer, Guarantee
from aiocpg.errors import MessageTooBigError


def joined(buffers: Sequence[Buffer], limit: int) -> bytes:
    """
    One message from its pieces.

    ``bytes`` in one piece is taken as it is; all else is copied, so that it may be reused.

    Raises:
        TypeError: A piece is not of bytes.
        MessageTooBigError: All pieces together are over the limit.
    """
    if len(buffers) == 1:
        data = buffers[0]
        if type(data) is bytes and len(data) <= limit:
            return data
    # The size is looked at before anything is copied: a refusal must not cost a gigabyte.
    size = sum(map(_size, buffers))
    if size > limit:
        raise MessageTooBigError(size, limit)
    return b"".join(map(_contiguous, buffers))


def all_checked(messages: Iterable[Buffer], limit: int) -> list[bytes]:
    """
    The messages of a batch, all of them good.

    Raises:
        TypeError: One is not of bytes.
        MessageTooBigError: One is over the limit; its ``index`` tells which.
    """
    if isinstance(messages, (bytes, bytearray, memoryview, str)) or not isinstance(messages, Iterable):
        raise TypeError("mcast_many takes an iterable of messages, one buffer each; for a single message use mcast")
    batch = list(messages)
    if set(map(type, batch)) <= {bytes} and max(map(len, batch), default=0) <= limit:
        return cast(list[bytes], batch)  # nearly always, and in a fifth of the time
    return [_checked(message, limit, index) for index, message in enumerate(batch)]


def _checked(message: Buffer, limit: int, index: int) -> bytes:
    size = _size(message)
    if size > limit:
        raise MessageTooBigError(size, limit, index)
    return bytes(message)


def _size(buffer: Buffer) -> int:
    if isinstance(buffer, memoryview):
        return buffer.nbytes
    if isinstance(buffer, (bytes, bytearray)):
        return len(buffer)
    kind = type(buffer).__name__
    raise TypeError(f"a message is made of bytes, bytearray or memoryview, not {kind}: {_cure(buffer)}")


def _cure(buffer: object) -> str:
    if isinstance(buffer, str):
        return "encode it, as in text.encode()"
    if isinstance(buffer, (list, tuple)):
        return "join it, as in b''.join(pieces)"
    if isinstance(buffer, Guarantee):
        return "name it, as in guarantee=Guarantee.SAFE"
    return "wrap it, as in memoryview(it)"


def _contiguous(buffer: Buffer) -> Buffer:
    if isinstance(buffer, memoryview) and not buffer.c_contiguous:
        return buffer.tobytes()
    return buffer
