"""Trap 20: lists groups in a thread, and shuts the descriptor down to end it."""

from __future__ import annotations

import os
import socket
import threading
import time

from talk import say, told

from aiocpg import lowlevel

handle = lowlevel.initialize()
lowlevel.join(handle, "group")
iteration = lowlevel.iteration_initialize(handle, lowlevel.IterationType.NAME_ONLY)
say("ready")
told()
thread = threading.Thread(target=lowlevel.iteration_next, args=(iteration,), daemon=True)
thread.start()
time.sleep(0.2)  # into libcpg; nothing tells
say("asked")
told()
socket.socket(fileno=os.dup(lowlevel.fd_get(handle))).shutdown(socket.SHUT_RDWR)
thread.join(4)  # other calls look for a dead daemon every two seconds
say("hangs", thread.is_alive())
os._exit(0)
