"""
The messages of ``aiocpg ping``: a question and its answer, which any member may give.

A question is NUL, ``aiocpg ping ``, a token; the answer of a member is NUL, ``aiocpg pong ``, the same token. A token
is 1 to 64 letters and digits. No text begins with NUL, so nobody types one by accident.
"""

from __future__ import annotations

import re
import secrets
from typing import NamedTuple

_PROBE = re.compile(rb"\0aiocpg (ping|pong) ([0-9A-Za-z]{1,64})")


class Probe(NamedTuple):
    """A question or an answer."""

    kind: str
    """``ping`` or ``pong``."""
    token: str

    @property
    def data(self) -> bytes:
        """The message."""
        return f"\0aiocpg {self.kind} {self.token}".encode()

    @property
    def answer(self) -> bytes:
        """The message that answers it."""
        return Probe("pong", self.token).data


def new_question() -> Probe:
    """A question with a token that nobody else uses."""
    return Probe("ping", secrets.token_hex(8))


def probe_in(data: bytes) -> Probe | None:
    """The question or answer that a message is; None for any other message."""
    found = _PROBE.fullmatch(data)
    return Probe(found[1].decode(), found[2].decode()) if found else None
