"""Trap 14: acts on every configuration change. Tells at each message how often it has acted so far."""

from __future__ import annotations

import asyncio

from talk import Ears, say
from wrapper import NaiveGroup

from aiocpg import ConfigurationChange
from aiocpg.lowlevel import Delivery


async def main() -> None:
    Ears()
    group = NaiveGroup("group")
    acted = 0
    while True:
        match await group.events.get():
            case ConfigurationChange():
                acted += 1
            case Delivery(data=data):
                say(data.decode(), acted)


asyncio.run(main())
