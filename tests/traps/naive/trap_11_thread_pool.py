"""Trap 11: sends from the threads of a pool, on one handle; until that does harm."""

from __future__ import annotations

import asyncio
import os

from talk import Ears, say
from wrapper import NaiveGroup

from aiocpg import StatusError
from aiocpg.lowlevel import Delivery, Status

THREADS = 4
MESSAGES = 200
PATIENCE = 3
REST = bytes(10_000)


def send(group: NaiveGroup, thread: int) -> None:
    for number in range(MESSAGES):
        while True:
            try:
                group.mcast(b"%d %d " % (thread, number) + REST)
                break
            except StatusError as error:
                if error.code != Status.TRY_AGAIN:
                    raise


async def receive(group: NaiveGroup) -> None:
    expected = {b"%d %d " % (thread, number) + REST for thread in range(THREADS) for number in range(MESSAGES)}
    while expected:
        event = await asyncio.wait_for(group.events.get(), PATIENCE)
        assert isinstance(event, Delivery)
        expected.remove(event.data)


async def main() -> None:
    ears = Ears()
    group = NaiveGroup("group")
    await group.events.get()
    say("member")
    await ears.told()
    rounds = 0
    try:
        while True:
            rounds += 1
            senders = (asyncio.to_thread(send, group, thread) for thread in range(THREADS))
            await asyncio.gather(receive(group), *senders)
    except TimeoutError:
        say("harm", "lost", rounds)
    except KeyError:
        say("harm", "garbled", rounds)
    except StatusError as error:
        say("harm", error.name, rounds)
    os._exit(0)  # a thread may spin in libcpg for ever


asyncio.run(main())
