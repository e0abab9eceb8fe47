"""
Workers that share jobs, one of which may be stopped at any time: ``python examples/worker.py``, a job per line.

Every worker takes jobs, from its standard input, and every job is done by one of them. SIGTERM, Ctrl-C or the end of
its input ends a worker in order: it takes no more jobs, sends on what it took, does its share of all that stands
before its departure, and is gone. Nothing it accepted is lost. The jobs of a worker that crashes are; ``leader.py``
shows what can be done about that.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from zlib import crc32

import aiocpg


async def main() -> None:
    """Accept jobs until told to stop; then leave, and finish."""
    jobs = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(jobs), sys.stdin)
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, transport.close)  # which ends the loop over the jobs below
    # From the inside out: no more jobs, the group is left, the connection closed, the reader reads to its end.
    async with asyncio.TaskGroup() as tasks, aiocpg.connect() as cpg, cpg.join("jobs") as group:
        tasks.create_task(work(group))
        async for job in jobs:
            print("accepted", job.decode().strip(), flush=True)
            await group.mcast(job)
    transport.close()


async def work(group: aiocpg.Group) -> None:
    """Do our share of the jobs, to the last one before our departure."""
    async for job in group.messages():
        # All members read a job in the same view, so all agree on whose it is.
        members = job.view.members
        if members[crc32(job.data) % len(members)] == group.me:
            print("done", job.data.decode(errors="replace").strip(), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
