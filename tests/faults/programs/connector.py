"""
Connects once and says in a line of JSON how that went. Arguments: none, "--uid N" to do it as another user.

The user is changed in here, after everything has been used once: the other one need not be able to read this checkout.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from typing import Any

import aiocpg


async def connect(uid: int | None) -> dict[str, Any]:
    """Become who is asked for, connect, and describe the outcome."""
    if uid is not None:
        async with aiocpg.connect():
            pass
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    try:
        async with aiocpg.connect() as cpg:
            return {"nodeid": cpg.nodeid}
    except aiocpg.EngineUnavailableError as error:
        return {"reason": error.reason, "cure": error.cure, "transient": error.transient, "text": str(error)}


parser = argparse.ArgumentParser()
parser.add_argument("--uid", type=int)
print(json.dumps(asyncio.run(connect(parser.parse_args().uid))))
