"""The lesson that ends in a service on three nodes: what it says to type is typed, and shows what the page shows."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from examples.programs import EXAMPLES, PATIENCE
from support.clusters_up import ClusterUp, cluster_up, free_ports
from support.pages import BLOCKS

PAGE = [block for block in BLOCKS if block.page == "docs/tutorial/service.md"]
SHOWN = [block.text.splitlines() for block in PAGE if block.language == "text"]
TYPED = [block.text for block in PAGE if block.language == "none" and len(block.text.split()) <= 2]
COMMANDS = [shlex.split(line) for block in PAGE if not block.language for line in block.text.splitlines()]
SAID = [command for command in COMMANDS if command[0] == "curl"]


class Listener:
    """The example that shows a page in a terminal, and what it has printed."""

    def __init__(self, url: str) -> None:
        argv = ["env", "--default-signal=INT", sys.executable, "-W", "error", EXAMPLES / "web_listener.py", url]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()

    def until(self, count: int) -> list[str]:
        """Wait until it has printed so many lines; return them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.lines) >= count, PATIENCE), self.lines
            return list(self.lines)

    def ended(self) -> int:
        """Wait for its end; return its status."""
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status


@contextmanager
def listeners(port: int) -> Iterator[list[Listener]]:
    """One for each node."""
    found = [Listener(f"http://127.0.0.1:{port + number}") for number in (1, 2, 3)]
    try:
        yield found
    finally:
        for listener in found:
            listener.process.kill()
            listener.process.communicate()


def say(command: list[str], port: int) -> None:
    """Run one of the page's curl commands, with our ports in place of the page's; it must be answered."""
    words = [re.sub(r"808(\d)", lambda found: str(port + int(found[1])), word) for word in command]
    done = subprocess.run([*words, "--silent", "--show-error"], capture_output=True, check=True, timeout=PATIENCE)
    assert b"position" in done.stdout


def start(up: ClusterUp, port: int) -> None:
    """Wait for the lines of the page that say it is up."""
    for number in (1, 2, 3):
        up.until_line(f"node {number} port {port}: 127.0.0.1:{port + number}")
        up.until_line(rf"{number}: =+ Running on")
    up.until_line(r"all nodes are up; Ctrl-C ends all, type `cut NODE ...` or `heal`")


def test_lesson_shows_what_one_sees() -> None:
    """Three listeners, two sides that talk apart, a heal, a crash, Ctrl-C: the page, but for pids."""
    port = free_ports(3)
    begins, two, one, we, i, whole, crashed = SHOWN
    at_first = [*begins, *two, *we, *whole, *crashed]
    at_third = [begins[0].replace("1:4242 with", "3:4258 with"), begins[1], *one, *i, *whole]
    service = [sys.executable, EXAMPLES / "web_service.py", str(port)]
    with cluster_up("--port", str(port), "--", *service) as up:
        start(up, port)
        with listeners(port) as (first, second, third):
            for listener in (first, second, third):
                listener.until(1)
            say(SAID[0], port)
            for listener in (first, second, third):
                listener.until(2)
            up.type(TYPED[0])
            first.until(3)
            third.until(3)
            say(SAID[1], port)
            say(SAID[2], port)
            first.until(4)
            third.until(4)
            up.type(TYPED[1])
            for listener in (first, second, third):
                pids = re.findall(r":(\d+)", listener.until(5)[0].partition("members")[2])
            os.kill(int(pids[2]), signal.SIGKILL)
            assert third.ended() == 0
            # To here: with Ctrl-C both go, and one may yet see the other do so.
            lines = [first.until(6), second.until(6), third.until(5)]
            assert up.interrupted() == 128 + signal.SIGKILL
            assert [first.ended(), second.ended()] == [0, 0]
    names = dict(zip((f":{pid}" for pid in pids), (":4242", ":4250", ":4258"), strict=True))
    shown = [[re.sub(r":\d+", lambda found: names[found[0]], line) for line in part] for part in lines]
    assert shown[0] == at_first
    assert shown[1] == [begins[0].replace("1:4242 with", "2:4250 with"), *at_first[1:]]
    assert shown[2] == at_third


def test_page_has_the_commands_that_were_typed() -> None:
    """What this file does in its own words is what the page says."""
    (up,) = [words for words in COMMANDS if "cluster" in words]
    assert up[2:] == ["cluster", "up", "--port", "8080", "--", ".venv/bin/python", "web_service.py", "8080"]
    assert [text.strip() for text in TYPED] == ["cut 3", "heal"]
    assert ["web_listener.py", "http://127.0.0.1:8081"] in [words[-2:] for words in COMMANDS]
