"""
The broker of ``local://``: a process that puts what its clients send into one order.

One thread, asyncio, no state on disk. Clients are processes of the same user, and still nothing they send is trusted:
every buffer has a limit, a client that breaks the protocol or does not read is cut off with a reason, and the others
go on.
"""

from aiocpg.engine.local.broker._broker import run

__all__ = ["run"]
