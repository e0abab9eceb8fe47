"""One join: what is taken when there is no room, and what is too big."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from aiocpg import MessageTooBigError
from aiocpg.engine._base import Engine
from aiocpg.engine._sequencer import MAX_NATIVE_SIZE
from aiocpg.testing.conformance._member import Member
from support.local_worlds import LocalWorld
from support.running import until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def engine(world: LocalWorld) -> AsyncIterator[Engine]:
    """One that reads nothing of its own."""
    await world.reset()
    engine = await world.open()
    yield engine
    await engine.aclose()


async def test_prefix_of_many_is_taken_and_comes_back_whole(engine: Engine) -> None:
    """The rest can be given again."""
    member = Member(await engine.join(b"group"))
    messages = [b"%d" % number * 5000 for number in range(300)]
    done = 0

    def send() -> bool:
        nonlocal done
        done += member.membership.mcast_many(messages[done:])
        return done == len(messages)

    assert not send()
    await until(send)
    await until(lambda: member.has(messages[-1]))
    assert [record[1] for record in member.records if isinstance(record, tuple)] == messages


async def test_native_message_has_a_limit(engine: Engine) -> None:
    """A wider one; above it nothing is sent."""
    member = Member(await engine.join(b"group"))
    await member.membership.mcast_native(bytes(MAX_NATIVE_SIZE))
    with pytest.raises(MessageTooBigError):
        await member.membership.mcast_native(bytes(MAX_NATIVE_SIZE + 1))
    await until(lambda: member.has(bytes(MAX_NATIVE_SIZE)))
