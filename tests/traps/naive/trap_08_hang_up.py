"""Trap 8: reports errors of dispatch, and leaves the reader where it is."""

from __future__ import annotations

import asyncio

from talk import Ears, say
from wrapper import NaiveGroup

from aiocpg import StatusError


class Reader(NaiveGroup):
    errors = 0

    def dispatch(self) -> None:
        try:
            super().dispatch()
        except StatusError:
            self.errors += 1


async def main() -> None:
    ears = Ears()
    group = Reader("group")
    await group.events.get()
    say("member")
    while await ears.told():
        say("errors", group.errors)


asyncio.run(main())
