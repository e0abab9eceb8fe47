"""What a daemon's log says: its text, and the ring the daemon is on. Corosync 3.1 writes the lines looked for."""

from __future__ import annotations

import os
import re

_MEMBERS = re.compile(r"\[QUORUM\] Sync members\[\d+\]:((?: \d+)*)")
_RING = re.compile(r"\[TOTEM \] A new membership \((\d+\.[0-9a-f]+)\) was formed")
_SYNCED = "Completed service synchronization, ready to provide service"


class DaemonLog:
    """
    Follows the log of one node's daemon across its restarts.

    Attributes:
        members: The node ids of the last ring this daemon was seen to form, sorted; empty before the first.
        ring: The id of that ring as text; no other ring has the same.
        is_synced: Whether the services have agreed on that ring; not so while a ring forms.
    """

    def __init__(self, directory: int, name: str) -> None:
        """The log is file `name` in the directory behind the descriptor `directory`."""
        self._directory = directory
        self._name = name
        self._position = 0
        self._rest = b""
        self._last: bytes | None = None
        self.members: tuple[int, ...] = ()
        self.ring = ""
        self.is_synced = False

    def text(self) -> str:
        """All of it, of earlier runs of the daemon too."""
        return (self._read(0) if self._last is None else self._last).decode(errors="replace")

    def close(self) -> None:
        """Keep the text for reports; the directory is going away."""
        self._last = self._read(0)

    def restart(self) -> None:
        """Forget what earlier runs of the daemon saw."""
        self.follow()
        self.members, self.ring, self.is_synced = (), "", False

    def follow(self) -> None:
        """Take in what was written since the last call."""
        if self._last is not None:
            return
        new = self._read(self._position)
        self._position += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            self._take(line.decode(errors="replace"))

    def _take(self, line: str) -> None:
        if found := _MEMBERS.search(line):
            self.members = tuple(sorted(int(nodeid) for nodeid in found[1].split()))
            self.is_synced = False
        elif found := _RING.search(line):
            self.ring = found[1]
        elif _SYNCED in line:
            self.is_synced = True

    def _read(self, position: int) -> bytes:
        try:
            fd = os.open(self._name, os.O_RDONLY, dir_fd=self._directory)
        except FileNotFoundError:  # no daemon has run yet
            return b""
        with open(fd, "rb") as file:
            file.seek(position)
            return file.read()
