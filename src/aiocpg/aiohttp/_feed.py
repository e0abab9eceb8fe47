"""What is told: a group's stream, read and encoded once, put where all browsers find it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Generic, Protocol, TypeVar

import aiocpg
from aiocpg import _service
from aiocpg.aiohttp import _words as words
from aiocpg.aiohttp._backlog import Backlog, Frame, frame

BYTES_PER_TURN = 64 * 1024
"""Encoded bytes after which those who send get their turn."""

log = logging.getLogger("aiocpg")

T = TypeVar("T")


class Reader(Protocol):
    """Who reads the backlog: a browser."""

    @property
    def place(self) -> int:
        """The number of the frame it gets next."""

    def wake(self) -> None:
        """There is something new."""

    def cut(self, verdict: words.Verdict) -> bool:
        """Its next frame is gone. Returns whether that is news."""

    def finish(self, verdict: words.Verdict) -> None:
        """Nothing comes behind what is there now."""


class Feed(Generic[T]):
    """
    Fills a backlog with what one group hands out.

    Args:
        encode: Makes of an item, and the id it will have, what is told; None for nothing.
        snapshot: What somebody gets who begins here; None for nothing.
        backlog: Where it goes.

    Attributes:
        backlog: The same.
        readers: Those to wake, to cut, to finish.
        cut_off: How many were cut because they were too slow.
        verdict: With what new readers are finished at once; None while there is something to come.
    """

    def __init__(
        self,
        encode: Callable[[T, str], str | bytes | None],
        snapshot: Callable[[], str | bytes | None] | None,
        backlog: Backlog,
    ) -> None:
        self._encode = encode
        self._snapshot = snapshot
        self.backlog = backlog
        self.readers: set[Reader] = set()
        self.cut_off = 0
        self.verdict: words.Verdict | None = None
        self._standing = words.Standing(None, "here")
        self._last_word: Frame | None = None

    def opening(self, group: aiocpg.Group, after: str | None) -> tuple[int, list[Frame]]:
        """Where a reader begins who wants to go on behind this id, and what it gets before that."""
        place = None if after is None else self.backlog.after(after)
        if place is None:
            return self.backlog.next, list(self._beginning(group, is_gap=after is not None))
        # How things stood there is not known any more; whoever was there was told.
        hello = words.hello(group, self.backlog.id_of(place - 1), self._standing._replace(view=None), continues=True)
        return place, [frame(hello)]

    def _beginning(self, group: aiocpg.Group, *, is_gap: bool) -> Iterator[Frame]:
        here = self.backlog.last_id
        yield frame(words.hello(group, here, self._standing, continues=False))
        if is_gap:
            yield frame(words.gap(words.NOT_KEPT, None, here))
        if self._snapshot is not None and (state := self._snapshot()) is not None:
            yield frame(state)
        if self._last_word is not None:
            yield self._last_word

    async def read(self, group: aiocpg.Group, source: Callable[[aiocpg.Group], AsyncIterator[T]]) -> None:
        """Tell all that comes, until nothing more can come."""
        begun = None
        try:
            while True:
                try:
                    await self._tell_all_of(source(group))
                except aiocpg.SlowConsumerError as slow:
                    self._tell(words.gap(f"this instance was too slow: {slow}", slow.lost, self.backlog.next_id))
                except aiocpg.ConnectionLostError as lost:
                    # A stream of some kinds of events says so that the group was away. A source that says it again
                    # although the group was not away again means something else, and would say it for ever.
                    before, begun = begun, _membership(group)
                    if begun is None or begun == before:
                        raise
                    self._tell(words.gap(f"this instance was cut off: {lost}", None, self.backlog.next_id))
                else:
                    self._end(words.LEFT, None)
                    return
        except aiocpg.CPGError as error:
            log.error("the fan-out of %r ends: %s", group.name, error)
            self._end(words.LOST, error)
        finally:
            if self._last_word is None:  # a fault of the source or the encoder, raised to whoever awaits this
                self._end(words.LOST, RuntimeError("a fault in this instance; its log has more"))

    async def _tell_all_of(self, items: AsyncIterator[T]) -> None:
        told = 0
        async for item in items:
            self._standing = words.standing_after(self._standing, item)
            encoded = self._encode(item, self.backlog.next_id)
            if encoded is None:
                continue
            self._tell(encoded)
            told += len(encoded)
            if told >= BYTES_PER_TURN:
                told = 0
                await asyncio.sleep(0)

    def _tell(self, encoded: str | bytes) -> None:
        self.backlog.append(frame(encoded))
        oldest = self.backlog.oldest
        for reader in self.readers:
            if reader.place >= oldest:
                reader.wake()
            elif reader.cut(words.SLOW):
                self.cut_off += 1

    def _end(self, verdict: words.Verdict, error: Exception | None) -> None:
        last_word = words.end(error, self.backlog.next_id)
        self._tell(last_word)
        self._last_word = frame(last_word)
        self.finish(verdict)

    def finish(self, verdict: words.Verdict) -> None:
        """Tell readers what is there, and no more: nothing comes, or they are to go."""
        self.verdict = self.verdict or verdict
        for reader in self.readers:
            reader.finish(self.verdict)


def _membership(group: aiocpg.Group) -> tuple[int, str] | None:
    """Which of its memberships a group is in or comes from; None where there will be no other."""
    state = _service.state_of(group)
    return (group.view.number, state) if state in {"member", "away"} else None
