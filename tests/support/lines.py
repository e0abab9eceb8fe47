"""What another thread may do between any two lines, done there by the same one: at each, not once in a blue moon."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def at_each_line(look: Callable[[], object]) -> Iterator[None]:
    """Do something at each line of aiocpg that is run here: anywhere there another thread may get its turn."""

    def trace(frame: FrameType, what: str, _: Any) -> Any:
        if "/aiocpg/" not in frame.f_code.co_filename:
            return None
        if what == "line":
            look()  # what it calls is not traced: it is called from here
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
