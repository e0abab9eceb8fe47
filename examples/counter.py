"""
A counter that every member holds and any member may raise: ``python examples/counter.py``, one number to add per line.

:class:`Replica` has the rules and does no I/O; the rest of the file carries its messages. Docs: "Replicated state".
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import closing, suppress
from uuid import uuid4

import aiocpg

Letter = tuple[str | int | bool, ...]
"""What replicas send each other: a kind, then what belongs to it."""

MOST = 2**63
"""What is added at once is less than this, either way: JSON reads and writes no numbers of thousands of digits."""
MOST_IN_STATE = 10**1000
"""The same for a sum of such numbers."""
MAX_TOKEN = 40
"""Characters of a token. It comes back in answers, which have to fit into a message."""

log = logging.getLogger("counter")

RETRY_SECONDS = 1.0
PATIENCE = 3
"""Tries after which a member that never answers is not waited for: it may be stopped, or not be there at all."""


class Replica:
    """
    One copy of the counter. Each input returns the letters to send, in this order and before those of later inputs.

    Copies in sync count the same numbers in the same order, so they stay equal. A copy is out of sync when it begins,
    after its side has met another one, and after somebody else has claimed the state. Then it counts nothing and asks,
    twice:

    - The first question is to be answered by everybody in the view it stands in. Between sides that have just met,
      Corosync may lose messages for a while; what has had an answer from a member loses none of that member's any more.
    - Behind its second question the copy holds what comes, and takes the answer of somebody in sync, who wrote down the
      state on reading the question. The state and what was held are all there is.

    Where nobody is in sync, the copy with the longest history claims the state, the lowest address among equals. A
    claim begins a new history, and each number is sent to one. A copy counts the numbers of its own history, and sends
    those of its own numbers again that came back too late for theirs. So a number is counted once, as long as the
    history that has it does not yield to a longer one.
    """

    def __init__(self, me: aiocpg.Address, fresh: Callable[[], str] = lambda: uuid4().hex) -> None:
        self.value = 0
        self.count = 0  # of the letters in the value: how long the history is
        self.in_sync = False
        self.token = ""  # of the question we last asked; answers to older ones are void
        self._history = ""  # which one the value belongs to: the token of the claim that began it
        self._me = me
        self._fresh = fresh
        self._members: tuple[aiocpg.Address, ...] = ()
        self._waiting: list[int] = []  # our own numbers that nobody has counted
        self._is_second = False
        self._silent: set[aiocpg.Address] | None = None  # whose answer to the first question is missing, once it stands
        self._anybody_in_sync = self._am_best = False
        self._held: list[tuple[str, int]] | None = None  # what came after our second question, once it stands
        self._tries = 0

    @staticmethod
    def is_change(change: object) -> bool:
        """Whether this may be added."""
        return type(change) is int and abs(change) < MOST

    @staticmethod
    def is_value(value: object) -> bool:
        """Whether this may be what changes have come to."""
        return type(value) is int and abs(value) < MOST_IN_STATE

    def add(self, number: int) -> list[Letter]:
        """Raise the counter; out of sync, later."""
        if not self.in_sync:
            self._waiting.append(number)
            return []
        return [("add", self._history, number)]

    def view(self, members: tuple[aiocpg.Address, ...], is_merge: bool) -> list[Letter]:
        """The membership has changed."""
        starts, self._members = not self._members, members
        if starts or is_merge:
            self._tries = 0
            return self._ask()
        return self._heard(gone=self._silent - set(members)) if self._silent else []

    def retry(self) -> list[Letter]:
        """Nothing has come of the last question for a while."""
        self._tries += 1
        if self._silent and self._tries % PATIENCE == 0:
            return self._heard(gone=set(self._silent))
        return self._ask()

    def letter(self, sender: aiocpg.Address, kind: str, *rest: str | int | bool) -> list[Letter]:
        """A letter has come."""
        match kind, *rest:
            case "add", str(history), change:
                self._added(sender, history, change)
            case "ask", str(token) if sender == self._me:
                return self._stands(token)
            case "ask", str(token):
                return [("state", token, self.in_sync, self._history, self.count, self.value)]
            case "state", str(token), bool(True), str(history), int(count), value if self._awaits(token):
                return self._take(history, count, value)
            case "state", str(token), bool(in_sync), str(), int(count), _ if token == self.token:
                return self._answered(sender, in_sync, count)
            case "claim", str(token) if token == self.token or sender != self._me:
                return self._synced(token) if token == self.token else self._ask()
        return []

    def _added(self, sender: aiocpg.Address, history: str, number: int) -> None:
        if self._held is not None:
            self._held.append((history, number))
        elif self.in_sync and history == self._history:
            self._count(number)
        elif sender == self._me:
            self._waiting.append(number)

    def _count(self, number: int) -> None:
        self.value += number
        self.count += 1

    def _ask(self, *, second: bool = False) -> list[Letter]:
        self.in_sync, self._is_second, self.token = False, second, self._fresh()
        self._silent = self._held = None
        return [("ask", self.token)]

    def _stands(self, token: str) -> list[Letter]:
        if token != self.token:
            return []
        if self._is_second:
            self._held = []
            return []
        self._silent = set(self._members) - {self._me}
        self._anybody_in_sync, self._am_best = False, True
        return self._heard()

    def _answered(self, sender: aiocpg.Address, in_sync: bool, count: int) -> list[Letter]:
        if not self._silent or sender not in self._silent:
            return []
        self._anybody_in_sync |= in_sync
        self._am_best &= (-self.count, self._me) < (-count, sender)
        return self._heard(gone={sender})

    def _awaits(self, token: str) -> bool:
        return token == self.token and self._held is not None

    def _take(self, history: str, count: int, value: int) -> list[Letter]:
        held, self.count, self.value = self._held or [], count, value
        for number in [number for its, number in held if its == history]:
            self._count(number)
        return self._synced(history)

    def _heard(self, gone: Iterable[aiocpg.Address] = ()) -> list[Letter]:
        """Somebody need not be waited for any more; the last one opens the way."""
        assert self._silent is not None
        self._silent.difference_update(gone)
        if self._silent:
            return []
        if self._anybody_in_sync:
            return self._ask(second=True)
        return [("claim", self.token)] if self._am_best else []

    def _synced(self, history: str) -> list[Letter]:
        self.in_sync, self._history, self._tries = True, history, 0
        self._silent = self._held = None
        waiting, self._waiting = self._waiting, []
        return [letter for number in waiting for letter in self.add(number)]


async def main() -> None:
    """Keep a copy until Ctrl-C; print it whenever it changes."""
    async with aiocpg.connect() as cpg, cpg.join("counter") as group, asyncio.TaskGroup() as tasks:
        replica = Replica(group.me)
        # One task sends everything, so that letters leave in the order they were decided in.
        outbox: asyncio.Queue[Letter] = asyncio.Queue()
        for task in (send(group, outbox), retry(replica, outbox), add_lines(replica, outbox)):
            tasks.create_task(task)
        shown = None
        async for event in group:
            post(outbox, react(replica, event))
            now = (replica.value, replica.count, replica.in_sync)
            if now != shown:
                shown = now
                print(f"{replica.value} after {replica.count}{'' if replica.in_sync else ' (out of sync)'}", flush=True)


def react(replica: Replica, event: aiocpg.Event) -> list[Letter]:
    """Tell the replica what happened."""
    match event:
        case aiocpg.View(members=members, joined=joined):
            return replica.view(members, aiocpg.Reason.NODEUP in joined.values())
        case aiocpg.Message(sender=sender, data=data):
            return receive(replica, sender, data)
    return []


def receive(replica: Replica, sender: aiocpg.Address, data: bytes) -> list[Letter]:
    """
    Hand a letter to the replica, and pass over what is none: any program may be in the group, and send what it likes.

    What is a letter follows from its bytes alone. So all copies pass over the same, and stay equal.
    """
    try:
        letter = json.loads(data)
    except (ValueError, RecursionError):  # no UTF-8, no JSON, a number of thousands of digits, nested without end
        letter = None
    if is_letter(replica, letter):
        return replica.letter(sender, *letter)
    warn_of(sender)
    return []


def is_letter(replica: Replica, letter: object) -> bool:
    """Whether a replica could have sent this."""
    match letter:
        case ["add", str(history), change]:
            return len(history) <= MAX_TOKEN and replica.is_change(change)
        case ["ask" | "claim", str(token)]:
            return len(token) <= MAX_TOKEN
        case ["state", str(token), bool(), str(history), count, value]:
            is_count = type(count) is int and 0 <= count < MOST
            return len(token) <= MAX_TOKEN and len(history) <= MAX_TOKEN and is_count and replica.is_value(value)
    return False


@functools.lru_cache(maxsize=128)  # once for each sender, as long as not too many others have come between
def warn_of(sender: aiocpg.Address) -> None:
    """Log that somebody else is in the group."""
    log.warning("%s has sent what is no letter of ours; that is passed over", sender)


def post(outbox: asyncio.Queue[Letter], letters: list[Letter]) -> None:
    """Hand letters to the task that sends."""
    for letter in letters:
        outbox.put_nowait(letter)


async def send(group: aiocpg.Group, outbox: asyncio.Queue[Letter]) -> None:
    """Send letters in order."""
    while True:
        await group.mcast(json.dumps(await outbox.get()).encode())


async def retry(replica: Replica, outbox: asyncio.Queue[Letter]) -> None:
    """Ask again when a question has led to nothing: its answer may have been lost, or who should answer be gone."""
    while True:
        token = replica.token
        await asyncio.sleep(RETRY_SECONDS)
        if not replica.in_sync and replica.token == token:
            post(outbox, replica.retry())


async def add_lines(replica: Replica, outbox: asyncio.Queue[Letter]) -> None:
    """Add the numbers on standard input."""
    async for line in stdin_lines():
        number = int(line)
        if replica.is_change(number):
            post(outbox, replica.add(number))
        else:
            print(f"{MOST} or more cannot be added at once", flush=True)


async def stdin_lines() -> AsyncIterator[str]:
    """Yield the lines of standard input without a thread, which would wait for one more line before it ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    with closing(transport):
        async for line in reader:
            yield line.decode().rstrip("\n")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
