"""The broker with real sockets: who is let in, who holds up whom, who is cut off, and when it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aiocpg._events import Address, ConfigurationChange, MemberChange, Reason
from aiocpg.engine.local import _wire
from aiocpg.engine.local._wire import Hello, Kind, Refusal
from aiocpg.engine.local.broker._client import Client
from aiocpg.engine.local.broker._limits import Limits
from support.brokers import GROUP, Peer, serving
from support.handles import finish, python
from support.running import until

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

SMALL = Limits(high=200_000, low=50_000, chunk=20_000, grace_seconds=0.3, farewell_seconds=30, hello_seconds=30)


def went(pid: int, reason: Reason, *left: int) -> ConfigurationChange:
    """The change that says so."""
    members = tuple(Address(1, other) for other in left)
    return ConfigurationChange(GROUP, members, (), (MemberChange(Address(1, pid), reason),))


async def test_members_get_one_order(tmp_path: Path) -> None:
    """Whoever sends; with the changes in it."""
    async with serving(tmp_path) as place:
        one, two = await place.member(1), await place.member(2)
        for number in range(50):
            one.send(_wire.mcast(b"one %d" % number))
            two.send(_wire.mcast(b"two %d" % number), _wire.mcast(b"two again %d" % number))
        first, second = await one.records(151), await two.records(150)
        assert first[1:] == second
        assert [data for sender, data in second if sender.pid == 1] == [b"one %d" % number for number in range(50)]
        two.close()
        assert await one.records(1) == [went(2, Reason.PROCDOWN, 1)]


async def test_leave_is_seen_by_who_leaves(tmp_path: Path) -> None:
    """Behind its own messages; nothing it says afterwards counts."""
    async with serving(tmp_path) as place:
        one, two = await place.member(1), await place.member(2)
        await one.records(1)
        two.send(_wire.mcast(b"last"), _wire.frame(Kind.LEAVE))
        expected = [(Address(1, 2), b"last"), went(2, Reason.LEAVE, 1)]
        assert await one.records(2) == expected
        assert await two.records(2) == expected
        two.send(_wire.mcast(b"more"))
        assert "does not belong" in await two.end()
        one.send(_wire.mcast(b"still here"))
        assert await one.records(1) == [(Address(1, 1), b"still here")]


async def test_questions_are_answered(tmp_path: Path) -> None:
    """By their token, in their order."""
    async with serving(tmp_path) as place:
        await place.member(7)
        asker = await place.introduced(8)
        asker.send(
            _wire.ask(Kind.PING, 1), _wire.ask(Kind.ASK_MEMBERS, 2, GROUP), _wire.ask(Kind.ASK_GROUPS, 3),
            _wire.ask(Kind.ASK_MEMBERS, 4, b"nobody's"),
        )  # fmt: skip
        assert await asker.until(Kind.PONG) == _wire.pong(1)[_wire.HEADER_SIZE :]
        assert _wire.read_members((await asker.until(Kind.MEMBERS))[4:]) == (Address(1, 7),)
        assert _wire.read_groups((await asker.until(Kind.GROUPS))[4:]) == {GROUP: (Address(1, 7),)}
        assert await asker.until(Kind.MEMBERS) == (4).to_bytes(4, "little")


async def test_second_join_of_a_process_is_refused(tmp_path: Path) -> None:
    """And the first goes on."""
    async with serving(tmp_path) as place:
        first, second = await place.member(1), await place.connect()
        second.send(_wire.hello(Hello(1, GROUP)))
        assert _wire.read_refused(await second.until(Kind.REFUSED))[0] == Refusal.ALREADY_JOINED
        assert await second.next() is None
        first.send(_wire.mcast(b"x"))
        assert await first.records(1) == [(Address(1, 1), b"x")]


async def test_sockets_have_a_number(tmp_path: Path) -> None:
    """One more is refused, and when one goes there is room again."""
    async with serving(tmp_path, Limits(clients=3)) as place:
        three = [await place.introduced(pid) for pid in (1, 2, 3)]
        fourth = await place.connect()
        assert _wire.read_refused(await fourth.until(Kind.REFUSED))[0] == Refusal.FULL
        three[0].close()
        await until(lambda: len(place.broker._clients) == 2)
        await place.introduced(4)


async def test_one_process_does_not_take_all_sockets(tmp_path: Path) -> None:
    """Another one is still let in."""
    program = "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('{}')\ns.sendall({!r})\nprint(s.recv(7)[4])"
    async with serving(tmp_path, Limits(clients=4, share=3)) as place:
        mine = [await place.introduced(pid) for pid in (1, 2, 3)]
        fourth = await place.connect()
        assert "of this process" in _wire.read_refused(await fourth.until(Kind.REFUSED))[1]
        other = python(program.format(place.path, _wire.hello(Hello(4))))
        assert await asyncio.to_thread(finish, other) == f"{Kind.WELCOME.value}\n"
        mine[0].close()
        await until(lambda: len(place.broker._clients) == 2)
        await place.introduced(5)


async def test_stranger_that_says_nothing_is_let_go(tmp_path: Path) -> None:
    """After a while, and without a word: a HELLO that is half there is none."""
    async with serving(tmp_path, SMALL._replace(hello_seconds=0.2)) as place:
        silent, half = await place.connect(), await place.connect()
        half.send(_wire.hello(Hello(1))[:9])
        assert (await silent.end(), await half.end()) == ("", "")


async def test_other_users_are_refused(tmp_path: Path) -> None:
    """By what the kernel says of them, wherever they got the path from."""
    program = "import os, socket\nos.setuid(65534)\ns = socket.socket(socket.AF_UNIX)\ns.connect('{}')\n"
    program += "print(s.recv(1000)[6:].decode())"
    async with serving(tmp_path) as place:
        for path in (place.path, *list(place.path.parents)[:-2]):
            path.chmod(0o777)
        told = await asyncio.to_thread(lambda: finish(python(program.format(place.path))))
        assert told == f"it serves uid {os.geteuid()}, not 65534\n"


# -- Who sends much, and who reads slowly


def spying_on(take_frame: Callable[..., None], calls: list[int]) -> Callable[..., None]:
    """The same, with the kind of each frame kept."""

    def take(client: Client, kind: int, body: bytes) -> None:
        calls.append(kind)
        take_frame(client, kind, body)

    return take


async def flood(place_member: Peer, count: int) -> None:
    """Send, as fast as it is taken."""
    for _ in range(count):
        place_member.send(_wire.mcast(bytes(10_000)))
        await place_member.writer.drain()


async def test_reader_that_stands_still_is_cut_off_with_a_reason(tmp_path: Path) -> None:
    """The others wait for it a while, then go on without it; what waits for it has a limit."""
    async with serving(tmp_path, SMALL) as place:
        reader, sleeper = await place.member(1), await place.member(2)
        sleeper.writer.transport.pause_reading()
        sender = asyncio.create_task(flood(reader, 500))
        most, cut = 0, False
        came = 0
        while not cut or came < 500:
            record = (await reader.records(1))[0]
            if isinstance(record, ConfigurationChange):
                cut = cut or record == went(2, Reason.PROCDOWN, 1)
            else:
                came += 1
            most = max([most, *(client.backlog for client in place.broker._clients)])
        await sender
        assert most < 2 * SMALL.high
        sleeper.writer.transport.resume_reading()
        assert "it read too slowly" in await sleeper.end()


async def test_process_that_was_slow_does_not_hold_up_others_again(tmp_path: Path) -> None:
    """It could come back each time, and its group would stand still as good as always."""
    async with serving(tmp_path, SMALL) as place:
        for pid, grace in ((1, 0.3), (2, 3600)):
            place.broker.limits = SMALL._replace(grace_seconds=grace)
            sleeper = await place.member(pid)
            (client,) = place.broker._clients
            sleeper.writer.transport.pause_reading()
            sender = asyncio.create_task(flood(sleeper, 100))
            await until(lambda client=client: client.is_ending)
            sender.cancel()
            sleeper.close()
            await until(lambda: not place.broker._clients)


async def test_nobody_is_slow_while_the_broker_stands_still(tmp_path: Path) -> None:
    """Who was behind when it was stopped has had no time to read."""
    async with serving(tmp_path, SMALL) as place:
        reader, sleeper = await place.member(1), await place.member(2)
        sleeper.writer.transport.pause_reading()
        sender = asyncio.create_task(flood(reader, 500))
        reading = asyncio.create_task(reader.records(501))
        await until(lambda: any(group.behind for group in place.broker._groups.values()))
        sleeper.writer.transport.resume_reading()
        time.sleep(2 * SMALL.grace_seconds)  # noqa: ASYNC251 - the loop is the broker's
        assert await sleeper.records(500) == (await reading)[1:]
        await sender


async def test_reader_that_comes_back_in_time_loses_nothing(tmp_path: Path) -> None:
    """Those it held up go on."""
    async with serving(tmp_path, SMALL._replace(grace_seconds=30)) as place:
        reader, sleeper = await place.member(1), await place.member(2)
        sleeper.writer.transport.pause_reading()
        sender = asyncio.create_task(flood(reader, 500))
        await until(lambda: any(group.behind for group in place.broker._groups.values()))
        sleeper.writer.transport.resume_reading()
        both = await asyncio.gather(reader.records(501), sleeper.records(500))
        assert both[0][1:] == both[1]
        await sender
        assert not any(group.behind for group in place.broker._groups.values())


async def test_member_that_leaves_with_much_unread_is_not_there_for_ever(tmp_path: Path) -> None:
    """What waits for it is more than a connection may have waiting; it reads that, and its end is seen."""
    async with serving(tmp_path, SMALL._replace(high=1 << 30, answers=50_000)) as place:
        reader, leaver = await place.member(1), await place.member(2)
        leaver.writer.transport.pause_reading()
        sender = asyncio.create_task(flood(reader, 100))
        await reader.records(101)
        await sender
        leaver.send(_wire.frame(Kind.LEAVE))
        assert await reader.records(1) == [went(2, Reason.LEAVE, 1)]
        leaver.writer.transport.resume_reading()
        assert (await leaver.records(101))[-1] == went(2, Reason.LEAVE, 1)
        leaver.close()
        await until(lambda: len(place.broker._clients) == 1)


async def test_member_that_leaves_and_does_not_read_is_cut_off(tmp_path: Path) -> None:
    """As one that stays: what waits for it would be kept as long as it likes."""
    async with serving(tmp_path, SMALL) as place:
        reader, leaver = await place.member(1), await place.member(2)
        leaver.writer.transport.pause_reading()
        sender = asyncio.create_task(flood(reader, 50))
        await reader.records(51)
        await sender
        leaver.send(_wire.frame(Kind.LEAVE))
        await until(lambda: all(client.is_ending for client in place.broker._clients if client.seat is None))
        leaver.writer.transport.resume_reading()
        assert "it has left" in await leaver.end()


async def test_other_groups_do_not_wait(tmp_path: Path) -> None:
    """For a reader that is behind in one."""
    async with serving(tmp_path, SMALL._replace(grace_seconds=30)) as place:
        reader, sleeper = await place.member(1), await place.member(2)
        sleeper.writer.transport.pause_reading()
        sender = asyncio.create_task(flood(reader, 500))
        await until(lambda: any(group.behind for group in place.broker._groups.values()))
        elsewhere = await place.introduced(1, b"elsewhere")
        elsewhere.send(_wire.mcast(b"x"))
        assert _wire.read_record(Kind.MESSAGE, await elsewhere.until(Kind.MESSAGE), b"")[1] == b"x"
        late = await place.member(3)  # waits with the others
        late.close()
        sleeper.close()
        await reader.records(501)
        await sender


@pytest.mark.parametrize("frame", [_wire.mcast(b""), _wire.ask(Kind.PING, 1)], ids=["messages", "questions"])
async def test_who_says_little_does_not_wait_behind_who_says_much(
    frame: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many small frames fit into what is read of one client at a time."""
    looked_at = []
    monkeypatch.setattr(Client, "_take_frame", spying_on(Client._take_frame, looked_at))
    async with serving(tmp_path, SMALL._replace(turn_seconds=0, grace_seconds=30, high=1 << 30)) as place:
        is_member = frame[4] == Kind.MCAST
        noisy = [await place.introduced(pid, b"%d" % pid if is_member else b"") for pid in range(1, 9)]
        quiet = await place.introduced(9)
        looked_at.clear()
        for peer in noisy:
            peer.send(frame * 10_000)
        quiet.send(_wire.ask(Kind.PING, 1))
        await quiet.until(Kind.PONG)
        assert len(looked_at) < 10_000


async def test_answers_that_nobody_reads_are_not_piled_up(tmp_path: Path) -> None:
    """Further questions wait, and all are answered in the end."""
    async with serving(tmp_path, SMALL._replace(answers=50_000)) as place:
        for pid in range(1, 30):
            await place.introduced(pid, b"%d" % pid * 40)
        asker = await place.introduced(99)
        asker.writer.transport.pause_reading()
        asker.send(*(_wire.ask(Kind.ASK_GROUPS, token) for token in range(2000)))
        await until(lambda: any(client.backlog >= 50_000 for client in place.broker._clients))
        assert all(client.backlog < 100_000 for client in place.broker._clients)
        asker.writer.transport.resume_reading()
        tokens = [_wire.read_token(await asker.until(Kind.GROUPS))[0] for _ in range(2000)]
        assert tokens == list(range(2000))


# -- The end


async def test_broker_ends_when_nobody_was_there_for_a_while(tmp_path: Path) -> None:
    """Not while somebody is."""
    async with serving(tmp_path, idle_seconds=0.05) as place:
        peer = await place.introduced(1)
        peer.close()
        await until(place.broker._ended.is_set)


async def test_end_is_told_to_all_who_are_known(tmp_path: Path) -> None:
    """Strangers see it as a broker that was going, and look for another."""
    async with serving(tmp_path) as place:
        member, asker, stranger = await place.member(1), await place.introduced(2), await place.connect()
        await until(lambda: len(place.broker._clients) == 3)
        place.broker.end("because")
        assert [await peer.end() for peer in (member, asker, stranger)] == ["because", "because", ""]


async def test_lack_of_descriptors_ends_nothing(tmp_path: Path) -> None:
    """Who is there goes on, and others are let in when there are some again."""
    program = f"""
import resource, socket, sys
from aiocpg.engine.local.broker import run
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
sock = socket.socket(socket.AF_UNIX)
sock.bind({str(tmp_path / "few")!r})
run(sock, idle_seconds=None, still_ours=lambda: True)
"""
    broker = python(program)
    await until((tmp_path / "few").exists)

    async def introduced() -> Peer:
        while True:
            try:
                peer = Peer(*await asyncio.open_unix_connection(tmp_path / "few"))
            except ConnectionRefusedError:  # it does not listen yet
                await asyncio.sleep(0.01)
                continue
            peer.send(_wire.hello(Hello(1)))
            return peer

    peers = [await introduced() for _ in range(30)]
    await peers[0].until(Kind.WELCOME)
    peers[0].send(_wire.ask(Kind.PING, 1))
    await peers[0].until(Kind.PONG)
    for peer in peers[1:29]:
        peer.close()
    await peers[29].until(Kind.WELCOME)
    for peer in (peers[0], peers[29]):
        peer.close()
    broker.send_signal(signal.SIGTERM)
    await asyncio.to_thread(broker.communicate)
    assert broker.returncode == 0
