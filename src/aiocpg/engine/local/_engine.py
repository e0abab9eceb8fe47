"""One connection to a broker: its own socket for questions, and the sockets of its groups."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import SplitResult

import anyio

from aiocpg._events import Address, DaemonIdentity
from aiocpg._loop import LoopPort
from aiocpg._state.quorum import NoQuorumProvider
from aiocpg._threads import BlockingCall
from aiocpg.engine._base import QuorumListener, RingListener
from aiocpg.engine._claims import Claim
from aiocpg.engine._url import place_in
from aiocpg.engine.local import _wire
from aiocpg.engine.local._channel import Channel
from aiocpg.engine.local._directory import Files, files
from aiocpg.engine.local._greeting import CalledOffError, CallOff, Greeted, NotLetInError, identity, join
from aiocpg.engine.local._membership import LocalMembership
from aiocpg.engine.local._starting import reach
from aiocpg.engine.local._wire import Hello, Kind, WireError
from aiocpg.errors import ConnectionClosedError, ConnectionLostError, CPGError, EngineUnavailableError

T = TypeVar("T")

GOING_SECONDS = 0.5
"""How long the end of our own socket may come after a broker that ends has not let us in again."""

_NO_PROVIDER = NoQuorumProvider(
    "local:// is one host, of which no part can be cut off, and has no quorum",
    "use corosync:// for a service that must not act in a minority, and memory:// for its tests",
)


class LocalEngine:
    """See :class:`aiocpg.engine._base.Engine`."""

    def __init__(self, greeted: Greeted, port: LoopPort, found: Files, url: str, pid: int) -> None:
        self.nodeid = greeted.welcome.nodeid
        self.max_message_size = greeted.welcome.max_message_size
        self.daemon: DaemonIdentity | None = identity(greeted.sock)
        self._port = port
        self._files = found
        self._url = url
        self._pid = pid
        self._ring = greeted.ring
        self._channel = Channel(greeted.sock, greeted.frames, port, url)
        self._listener: RingListener | None = None
        self._memberships: set[LocalMembership] = set()
        self._joining: set[BlockingCall[Any]] = set()
        self._questions: dict[int, _Question] = {}
        self._token = 0
        self._over = anyio.Event()

    def listen(self, listener: RingListener) -> None:
        self._listener = listener
        listener.on_ring(self._ring)
        self._channel.listen(self)

    def on_readable(self) -> None:
        """Hand on the answers that have come."""
        try:
            while found := self._channel.read():
                self._answered(*found)
        except WireError as error:
            self._channel.lose(ConnectionLostError(f"the broker sent what cannot be read: {error}"))

    def on_writable(self) -> None:
        """Who waits for room is woken by the channel."""

    def on_lost(self, error: CPGError) -> None:
        """The broker is gone: nobody shall wait for it."""
        self._end_calls(error)
        if self._listener is not None:
            self._listener.on_lost(error)
        self._channel.close(error)

    # -- Questions

    async def members(self, name: bytes) -> tuple[Address, ...]:
        return _wire.read_members(await self._ask(Kind.ASK_MEMBERS, name))

    async def groups(self) -> Mapping[bytes, tuple[Address, ...]]:
        return _wire.read_groups(await self._ask(Kind.ASK_GROUPS))

    async def ping(self) -> None:
        await self._ask(Kind.PING)

    async def _ask(self, kind: Kind, group: bytes = b"") -> bytes:
        self._token = (self._token + 1) & 0xFFFFFFFF
        token, question = self._token, _Question()
        self._questions[token] = question
        try:
            await self._channel.send_all(_wire.ask(kind, token, group))
            return await question.answer()
        finally:
            self._questions.pop(token, None)

    def _answered(self, kind: int, body: bytes) -> None:
        if kind not in (Kind.MEMBERS, Kind.GROUPS, Kind.PONG):
            raise WireError(f"a frame of kind {kind}, which is no answer")
        token, answer = _wire.read_token(body)
        if question := self._questions.get(token):  # else it was given up
            question.settle(answer)

    # -- Groups

    async def join(self, name: bytes) -> LocalMembership:
        self._channel.raise_lost()
        claim = Claim((self._files.socket, self._pid), name)
        try:
            greeted = await self._on_thread(name)
            if greeted.ring != self._ring:  # another broker, which was started when ours had ended
                greeted.sock.close()
                await self._until_lost()
            channel = Channel(greeted.sock, greeted.frames, self._port, self._url)
        except BaseException:
            claim.release()
            raise
        me = Address(self.nodeid, self._pid)
        membership = LocalMembership(name, me, greeted.ring, channel, claim, self.ping, self._memberships.discard)
        self._memberships.add(membership)
        return membership

    async def _on_thread(self, name: bytes) -> Greeted:
        call_off = CallOff()
        call = BlockingCall(
            self._port,
            lambda: join(self._files, Hello(self._pid, name), call_off),
            "join",
            abandon=call_off,
            discard=lambda greeted: greeted.sock.close(),
        )
        self._joining.add(call)
        try:
            return await call.wait()
        except (NotLetInError, CalledOffError):
            await self._until_lost()
            raise AssertionError from None
        finally:
            self._joining.discard(call)

    async def _until_lost(self) -> None:
        """The broker does not let us in again, because it has ended: that is about to show. Raises the loss."""
        with anyio.move_on_after(GOING_SECONDS):
            await self._over.wait()
        self._channel.raise_lost()
        raise self._channel.gone()

    def ask_ring(self) -> None:
        """It was reported when we listened."""

    async def watch_quorum(self, listener: QuorumListener) -> None:
        self._channel.raise_lost()
        listener.on_quorum(_NO_PROVIDER)

    # -- The end

    async def aclose(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        for membership in list(self._memberships):
            membership.abandon()
        self._channel.close(ConnectionClosedError())
        self._end_calls(ConnectionClosedError())

    def _end_calls(self, error: CPGError) -> None:
        self._over.set()
        for call in list(self._joining):
            call.fail(error.fresh())
        for question in self._questions.values():
            question.fail(error)


class _Question:
    """What waits for one answer."""

    def __init__(self) -> None:
        self._settled = anyio.Event()
        self._answer = b""
        self._error: CPGError | None = None

    def settle(self, answer: bytes) -> None:
        self._answer = answer
        self._settled.set()

    def fail(self, error: CPGError) -> None:
        if not self._settled.is_set():
            self._error = error
            self._settled.set()

    async def answer(self) -> bytes:
        await self._settled.wait()
        if self._error is not None:
            raise self._error.fresh()
        return self._answer


async def open_url(
    parts: SplitResult, port: LoopPort, *, daemon_uid: int | None, enter: Callable[[], object] | None
) -> LocalEngine:
    """
    Connect to the broker of a world, starting it where there is none.

    Cancelling leaves no thread behind; a broker that was started ends by itself.

    Raises:
        EngineUnavailableError: With the reason and the cure.
    """
    place = place_in(parts, {"pid"})
    found = files(place.name)
    pid = place.pid or os.getpid()
    call_off = CallOff()
    call = BlockingCall(
        port,
        lambda: reach(place.name, found, Hello(pid), call_off),
        "connect",
        abandon=call_off,
        discard=lambda greeted: greeted.sock.close(),
    )
    engine = LocalEngine(await call.wait(), port, found, f"local://{place.name}", pid)
    if daemon_uid is not None and engine.daemon is not None and engine.daemon.uid != daemon_uid:
        engine.abandon()
        raise EngineUnavailableError(
            f"the broker of local://{place.name} runs as uid {engine.daemon.uid}, not {daemon_uid}",
            "a broker runs as its user: leave daemon_uid to corosync://",
        )
    return engine
