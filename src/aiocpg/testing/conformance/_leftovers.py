"""What a process has that an engine could leave behind: threads and descriptors."""

from __future__ import annotations

import gc
import os
import re
import threading
from collections import Counter


def held() -> Counter[str]:
    """What there is now, by kind."""
    gc.collect()
    return Counter([*(f"thread {thread.name}" for thread in threading.enumerate()), *_descriptors()])


def _descriptors() -> list[str]:
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:  # the one that lists the directory, or one that was closed just now
            continue
        found.append("descriptor " + re.sub(r"\d+", "N", target))
    return found
