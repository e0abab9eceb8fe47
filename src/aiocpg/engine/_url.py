"""What a URL may say to each engine. Nothing is opened here."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, urlsplit

from aiocpg.errors import UsageError

SCHEMES = ("corosync", "local", "memory")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

_MOST = 2**32 - 1
"""Node ids and pids travel in 32 bits, as in Corosync."""


class Place(NamedTuple):
    """Where in an embedded engine a URL leads."""

    name: str
    """The world: 1 to 64 of letters, digits, ``.``, ``_``, ``-``."""
    node: int = 1
    pid: int | None = None
    """Which process to be; None: the engine says."""


def check_url(url: str) -> SplitResult:
    """
    The parts of a URL that names an engine.

    Raises:
        UsageError: It names none, or has parts that its engine knows nothing of.
    """
    if not isinstance(url, str):
        raise UsageError(f"a URL is text like 'corosync://', not {url!r}")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UsageError(f"{url!r} is no URL: {error}") from None
    if parts.scheme == "corosync":
        _check_corosync(url, parts)
    elif parts.scheme == "local":
        place_in(parts, {"pid"}, url)
    elif parts.scheme == "memory":
        place_in(parts, {"node", "pid"}, url)
    else:
        raise UsageError(
            f"no engine is called by {url!r}: use 'corosync://' for the daemon on this host, 'local://NAME' for the "
            "processes of one user, 'memory://NAME' inside this process"
        )
    return parts


def _check_corosync(url: str, parts: SplitResult) -> None:
    if parts.netloc or parts.path.strip("/") or parts.query or parts.fragment:
        raise UsageError(f"{url!r}: 'corosync://' takes nothing after it, libcpg reaches the daemon on this host only")


def place_in(parts: SplitResult, takes: AbstractSet[str], typed: str | None = None) -> Place:
    """
    Where the URL of an embedded engine leads.

    Args:
        parts: The URL.
        takes: The parameters its engine knows.
        typed: How errors quote it; put together from the parts, ``local://`` would be ``local:``.

    Raises:
        UsageError: The name cannot be one, or a parameter is unknown, given twice, or no number in its range.
    """
    url = typed or parts.geturl()
    if not _NAME.fullmatch(parts.netloc) or parts.path.strip("/") or parts.fragment:
        raise UsageError(
            f"{url!r}: '{parts.scheme}://' takes a name, 1 to 64 of letters, digits, '.', '_', '-', "
            f"like '{parts.scheme}://demo'"
        )
    numbers: dict[str, int] = {}
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key not in takes or key in numbers:
            wrong = "is given twice" if key in numbers else f"is unknown; there is {' and '.join(sorted(takes))}"
            raise UsageError(f"{url!r}: the parameter {key!r} {wrong}")
        numbers[key] = _number(url, key, value)
    return Place(parts.netloc, numbers.get("node", 1), numbers.get("pid"))


def _number(url: str, key: str, value: str) -> int:
    if value.isascii() and value.isdigit() and 1 <= int(value[:11]) <= _MOST:
        return int(value[:11])
    raise UsageError(f"{url!r}: {key}={value} is no number from 1 to {_MOST}")
