"""Trap 19: a message of too many pieces, or dispatch on a thread with a small stack."""

from __future__ import annotations

import sys
import threading

import libcpg
from talk import say

handle = libcpg.initialize()
libcpg.join(handle, b"group")
say("joined")
if sys.argv[1] == "pieces":
    for pieces in (63, 200):
        say("status", libcpg.mcast(handle, *[b"x"] * pieces))
else:
    threading.stack_size(256 * 1024)
    thread = threading.Thread(target=libcpg.dispatch, args=(handle,))
    thread.start()
    thread.join()
say("survived")
