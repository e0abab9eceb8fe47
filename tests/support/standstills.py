"""What a program says of a machine that stood still under it, which is no complaint of its own."""

from __future__ import annotations

MARK = "the event loop stood still for "


def without_standstills(text: str) -> str:
    """Return what a program has printed without those lines, which come where a machine is busy enough."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(MARK))
