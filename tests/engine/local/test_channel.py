"""One socket in the loop: frames before the end, what goes out later, and the words of a loss."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from aiocpg._loop import current_port
from aiocpg.engine.local import _wire
from aiocpg.engine.local._channel import Channel
from aiocpg.engine.local._wire import BROKER_LIMITS, Frames, Kind
from aiocpg.errors import ConnectionClosedError, ConnectionLostError, CPGError
from support.handles import forked
from support.running import turns, until

pytestmark = pytest.mark.anyio


class Owner:
    """Reads a channel, one frame a turn, and keeps what it is told."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.frames: list[tuple[int, bytes]] = []
        self.writable = 0
        self.losses: list[CPGError] = []
        channel.listen(self)

    def on_readable(self) -> None:
        """Read one."""
        if found := self.channel.read():
            self.frames.append(found)
        self.channel.pause()

    def on_writable(self) -> None:
        """Count."""
        self.writable += 1

    def on_lost(self, error: CPGError) -> None:
        """Keep it."""
        self.losses.append(error)


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    """The broker's end; ``peer.ours`` is ours."""
    ours, peer = socket.socketpair()
    peer.settimeout(30)
    _ours[peer] = ours
    with peer, ours:
        yield peer
    del _ours[peer]


_ours: dict[socket.socket, socket.socket] = {}


def owner(peer: socket.socket, came: bytes = b"") -> Owner:
    """A channel at the other end of the peer, in the running loop."""
    frames = Frames(BROKER_LIMITS)
    frames.feed(came)
    return Owner(Channel(_ours[peer], frames, current_port(), "local://demo"))


async def test_frames_before_the_end_come_before_the_loss(peer: socket.socket) -> None:
    """All of them, one a turn; the loss is told once."""
    frames = [_wire.pong(token) for token in range(5)]
    reader = owner(peer, frames[0])
    peer.sendall(b"".join(frames[1:]))
    peer.close()
    await until(lambda: reader.losses)
    await turns()
    assert [_wire.read_token(body)[0] for _, body in reader.frames] == [0, 1, 2, 3, 4]
    assert [str(loss) for loss in reader.losses] == [
        "connection lost: the broker of local://demo went away; the next connect starts another"
    ]
    with pytest.raises(ConnectionLostError, match="went away"):
        reader.channel.send(b"x")
    reader.channel.close(ConnectionClosedError())


async def test_reason_of_an_end_is_told(peer: socket.socket) -> None:
    """The broker's own words."""
    reader = owner(peer)
    peer.sendall(_wire.pong(1) + _wire.bye("it read too slowly"))
    await until(lambda: reader.losses)
    assert (len(reader.frames), "it read too slowly" in str(reader.losses[0])) == (1, True)
    reader.channel.close(ConnectionClosedError())


async def test_bytes_that_are_no_frame_are_a_loss(peer: socket.socket) -> None:
    """There is no way on in them."""
    reader = owner(peer)
    peer.sendall(b"\xff" * 20)
    await until(lambda: reader.losses)
    assert "does not speak our protocol" in str(reader.losses[0])
    reader.channel.close(ConnectionClosedError())


async def test_what_was_taken_goes_out_whole_and_in_order(peer: socket.socket) -> None:
    """Also where the kernel takes a part of a frame; nothing else is taken until that is out."""
    sender = owner(peer)
    frames = [_wire.frame(Kind.MCAST, bytes([number]) * 100_000) for number in range(20)]
    taken = 0
    while more := sender.channel.send_whole(frames[taken:]):
        taken += more
    assert 0 < taken < 20
    assert not sender.channel.send(b"x")
    expected = b"".join(frames[:taken])
    peer.setblocking(False)
    came = bytearray()

    def receive() -> bool:
        with_more = True
        while with_more:
            try:
                came.extend(peer.recv(1 << 20))
            except BlockingIOError:
                with_more = False
        return len(came) == len(expected)

    await until(receive)
    assert came == expected
    await sender.channel.until_flushed()
    await until(lambda: sender.writable)
    sender.channel.close(ConnectionClosedError())


async def test_end_of_the_peer_is_met_behind_what_it_had_sent(peer: socket.socket) -> None:
    """A send that fails raises, and takes nothing away from the reader."""
    reader = owner(peer)
    peer.sendall(_wire.pong(1))
    peer.close()
    with pytest.raises(ConnectionLostError):
        reader.channel.send(b"x")
    await until(lambda: reader.losses)
    assert len(reader.frames) == 1
    reader.channel.close(ConnectionClosedError())


async def test_forked_child_does_not_hide_our_end(peer: socket.socket) -> None:
    """The broker sees us go although a copy of us lives on."""
    channel = owner(peer).channel
    with forked():
        channel.close(ConnectionClosedError())
        assert peer.recv(1) == b""
