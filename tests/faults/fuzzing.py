"""
Frames that no client would send, to the broker of ``local://``, while honest clients talk beside them.

Each hostile socket sends some good frames and then one that is spoilt, with which it ends; so all that is counted is
looked at by the broker. What the honest ones must see is all of their messages, in one order.
"""

from __future__ import annotations

import random
import socket
import threading
from pathlib import Path
from typing import NamedTuple

import anyio

import aiocpg
from aiocpg.engine.local import _wire
from aiocpg.engine.local._directory import files
from aiocpg.engine.local._wire import Hello, Kind
from support.running import until


class Fuzzed(NamedTuple):
    """What came of it."""

    frames: int
    sockets: int
    honest: int
    rss_before: int
    rss_after: int
    rss_peak: int
    """In KiB, all three."""


class Hostile:
    """Sends what it should not, on a thread of its own."""

    def __init__(self, path: Path, seed: int) -> None:
        self._path = str(path)
        self._random = random.Random(seed)
        self.frames = 0
        self.sockets = 0

    def run(self, frames: int) -> None:
        """Send so many frames in all."""
        while self.frames < frames:
            self._one_socket()

    def _one_socket(self) -> None:
        rng = self._random
        sent = [self._hello()] if rng.random() < 0.9 else []
        sent += [self._good() for _ in range(rng.randrange(40))]
        sent.append(self._spoilt())
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(30)
            sock.connect(self._path)
            try:
                sock.sendall(b"".join(sent))
                if rng.random() < 0.7:
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(1 << 16):
                        pass
            except ConnectionError:
                pass  # it was cut off, which is what it deserves
        self.sockets += 1
        self.frames += len(sent)

    def _hello(self) -> bytes:
        group = self._random.choice([b"", b"hostile", b"other", self._random.randbytes(127)])
        return _wire.hello(Hello(self._random.randrange(1, 2**32), group))

    def _good(self) -> bytes:
        rng = self._random
        return rng.choice(
            [
                _wire.mcast(rng.randbytes(rng.choice([0, 1, 100, 2000]))),
                _wire.ask(Kind.PING, rng.getrandbits(32)),
                _wire.ask(Kind.ASK_MEMBERS, 1, b"honest"),
                _wire.ask(Kind.ASK_GROUPS, 2),
            ]
        )

    def _spoilt(self) -> bytes:
        rng = self._random
        frame = bytearray(rng.choice([self._hello(), self._good(), _wire.frame(Kind.LEAVE)]))
        way = rng.randrange(5)
        if way == 0:
            return rng.randbytes(rng.randrange(1, 300))
        if way == 1:
            return bytes(frame[: rng.randrange(len(frame))])
        if way == 2:
            frame[rng.randrange(min(5, len(frame)))] ^= 1 << rng.randrange(8)
        elif way == 3:
            frame[4] = rng.randrange(256)
        else:
            for _ in range(rng.randrange(1, 8)):
                frame[rng.randrange(len(frame))] = rng.randrange(256)
        return bytes(frame)


async def fuzz(frames: int, seed: int) -> Fuzzed:
    """Send so many frames at a broker, and see that nobody else takes harm. Raises AssertionError."""
    async with (
        aiocpg.connect("local://fuzz?pid=1") as one,
        aiocpg.connect("local://fuzz?pid=2") as two,
        one.join("honest") as first,
        two.join("honest") as second,
        anyio.create_task_group() as tasks,
    ):
        read: tuple[list[bytes], list[bytes]] = ([], [])
        for group, kept in zip((first, second), read, strict=True):
            tasks.start_soon(_keep, group, kept)
        assert one.daemon is not None
        await first.mcast_confirmed(b"0")
        before = _memory(one.daemon.pid, "VmRSS")
        hostile = Hostile(files("fuzz").socket, seed)
        thread = threading.Thread(target=hostile.run, args=(frames,))
        thread.start()
        count = 1
        while thread.is_alive():
            with anyio.fail_after(30):
                await (first, second)[count % 2].mcast_confirmed(b"%d" % count)
            count += 1
            await anyio.sleep(0.001)
        await until(lambda: len(read[0]) == len(read[1]) == count)
        after, peak = (_memory(one.daemon.pid, field) for field in ("VmRSS", "VmHWM"))
        await first.leave()
        await second.leave()
    assert read[0] == read[1] == [b"%d" % number for number in range(count)]
    return Fuzzed(hostile.frames, hostile.sockets, count, before, after, peak)


async def _keep(group: aiocpg.Group, kept: list[bytes]) -> None:
    async for message in group.messages():
        kept.append(message.data)


def _memory(pid: int, field: str) -> int:
    status = Path("/proc", str(pid), "status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(field))
