"""Members as a walk plays with them: in this process, or in one of their own, which can be stopped and killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TextIO

import anyio

import aiocpg
from aiocpg import Address
from aiocpg.testing import ClusterNode
from faults.evs_walk.lines import Line
from faults.evs_walk.members import Member, Profile
from faults.evs_walk.story import Story

_TESTS = Path(__file__).parent.parent.parent
_PATH = os.pathsep.join((str(Path(aiocpg.__file__).parent.parent), str(_TESTS)))


class Player:
    """
    A member in this process.

    Attributes:
        node: Where it is.
        profile: What it is like.
        story: What it has recorded.
        is_wanted: Whether it is to be there.
    """

    def __init__(self, node: ClusterNode, profile: Profile) -> None:
        self.node = node
        self.profile = profile
        self.story = Story()
        self.is_wanted = True
        connect = partial(node.connect, connect_timeout=None, reconnect=profile.reconnect)
        self._member = Member(profile, connect, self.story.add)

    async def run(self) -> None:
        """Play, until cancelled."""
        await self._member.run()

    def command(self, word: str) -> None:
        """See :meth:`Member.command`."""
        if word in {"join", "leave", "close"}:
            self.is_wanted = word == "join"
        self._member.command(word)

    @property
    def me(self) -> Address | None:
        """Its address, while it lives."""
        life = self.story.life
        return None if life is None else life.me

    def __str__(self) -> str:
        story = self.story
        return (
            f"member {self.profile.number} on {self.node.nodeid}: {story.configuration}, open {list(story.open)[:5]}, "
            f"parked {story.is_parked}, stalled by {story.stalled}, last {story.last}"
        )


class RemotePlayer(Player):
    """A member in another process."""

    def __init__(self, node: ClusterNode, profile: Profile, process: Process) -> None:
        self.node = node
        self.profile = profile
        self.story = Story()
        self.is_wanted = True
        self._process = process
        self._path = process.path_of(profile)
        self._file: TextIO | None = None
        self._rest = ""

    async def run(self) -> None:
        """Read what it records, until cancelled."""
        try:
            while True:
                self._process.check()
                self.read()
                await anyio.sleep(0.02)
        finally:
            if self._file is not None:
                self._file.close()
                self._file = None

    def read(self) -> None:
        """Read what there is."""
        if self._file is None:
            if not self._path.exists():
                return
            self._file = self._path.open()
        *lines, self._rest = (self._rest + self._file.read()).split("\n")
        for text in lines:
            line: Line = json.loads(text)
            self.story.add(line)

    def command(self, word: str) -> None:
        """See :meth:`Member.command`."""
        if word in {"join", "leave", "close"}:
            self.is_wanted = word == "join"
        self._process.tell(self.profile.number, word)


class Process:
    """
    A process with members, on one node.

    Args:
        node: Where.
        profiles: Its members.
        folder: For what they record, and for what the process has to complain of.

    Attributes:
        players: Its members.
        is_stopped: Whether it is stopped by a signal.
        is_killed: Whether it was killed.
    """

    def __init__(self, node: ClusterNode, profiles: Sequence[Profile], folder: Path) -> None:
        self._folder = folder
        self._complaints = folder / f"complaints-{profiles[0].number}"
        for profile in profiles:
            self.path_of(profile).unlink(missing_ok=True)  # of a walk before: it would be read until ours begins
        arguments = [text for one in profiles for text in (str(self.path_of(one)), json.dumps(asdict(one)))]
        with self._complaints.open("w") as complaints:
            self._process: subprocess.Popen[str] = node.spawn(
                [sys.executable, "-m", "faults.evs_walk.child", *arguments],
                env=os.environ | {"PYTHONPATH": _PATH},
                text=True,
                stdin=subprocess.PIPE,
                stderr=complaints,
            )
        self.players = [RemotePlayer(node, profile, self) for profile in profiles]
        self.is_stopped = False
        self.is_killed = False

    def path_of(self, profile: Profile) -> Path:
        """The file of a member."""
        return self._folder / f"member-{profile.number}"

    def tell(self, number: int, word: str) -> None:
        """Give a member a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([number, word]) + "\n")
        self._process.stdin.flush()

    def stop(self) -> None:
        """SIGSTOP."""
        self._process.send_signal(signal.SIGSTOP)
        self.is_stopped = True

    def cont(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)
        self.is_stopped = False

    def kill(self) -> None:
        """SIGKILL. Its members have crashed; all they recorded is known."""
        self.end()
        for player in self.players:
            player.read()
            player.story.crash()

    def end(self) -> None:
        """End it. Repeating does nothing."""
        self.is_killed = True
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def check(self) -> None:
        """Raise AssertionError where it has ended by itself."""
        if not self.is_killed:
            assert self._process.poll() is None, f"a member's process has ended: {self._complaints.read_text()}"
