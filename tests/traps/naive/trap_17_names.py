"""Trap 17: group names as C has them. Joins by the name in hexadecimal, tells the status, and ends when told."""

from __future__ import annotations

import sys

import libcpg
from talk import say, told

handle = libcpg.initialize()
say("status", libcpg.join(handle, bytes.fromhex(sys.argv[1] if len(sys.argv) > 1 else "")))
told()
