"""The page on the command line shows what one sees: its blocks are typed again, in their order, on a real node."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aiocpg.testing import ClusterNode
from cli.terminals import PATIENCE, PROGRAM, Terminal

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "command-line.md"
BLOCK = re.compile(r"^```none\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPACE, NUMBER = re.compile(r"\s+"), re.compile(r"[\d.,]*\d")


def steps() -> Iterator[tuple[str, list[str]]]:
    """The commands of the page, each with the lines it shows."""
    for block in BLOCK.findall(PAGE.read_text()):
        for step in block.removeprefix("$ ").split("\n$ "):
            command, *lines = step.splitlines()
            yield command, lines


def plain(lines: list[str]) -> list[str]:
    """Lines without what differs from run to run: numbers, the width of columns, the bar that was drawn before."""
    bare = (SPACE.sub(" ", NUMBER.sub("0", line.rpartition("measuring")[2] if "━" in line else line)) for line in lines)
    return [line.strip() for line in bare if "━" not in line]


@pytest.fixture
def seen(fresh_node: ClusterNode, terminal: Callable[..., Terminal]) -> Callable[[str], list[str]]:
    """Types a command of the page at a terminal, or gives it to a shell where it has a pipe; returns what comes."""

    def see(command: str) -> list[str]:
        if "|" in command:
            script = f'aiocpg() {{ {shlex.join(PROGRAM)} "$@"; }}; {command}'
            with fresh_node.spawn(["bash", "-c", script], stdout=subprocess.PIPE, text=True) as process:
                return process.communicate(timeout=PATIENCE)[0].splitlines()
        typed = terminal(fresh_node, *shlex.split(command)[1:], on_terminal=True)
        typed.ended()
        return typed.lines

    return see


def test_page_shows_what_one_sees(
    fresh_node: ClusterNode, terminal: Callable[..., Terminal], seen: Callable[[str], list[str]]
) -> None:
    """But for addresses, times and sizes."""
    shown = dict(steps())
    doctor, chat, listen, send, groups, members, rings, ping, *scripts, top, bench = shown

    def as_shown(command: str) -> None:
        assert plain(seen(command)) == plain(shown[command])

    as_shown(doctor)
    _chat_as_shown(fresh_node, terminal, shown[chat])
    listener = terminal(fresh_node, *listen.split()[1:], on_terminal=True)
    listener.until_line("joined")
    as_shown(send)
    listener.until_line("LEAVE")
    assert plain(listener.lines) == plain(shown[listen])
    for command in (groups, members, rings):
        as_shown(command)
    talker = terminal(fresh_node, "chat", "orders", on_terminal=True)
    talker.until_line("joined")
    # Members are told in the order of their addresses, and answers as they come.
    assert sorted(plain(seen(ping))) == sorted(plain(shown[ping]))
    for command in (*scripts, bench):
        as_shown(command)
    # It is drawn once more at its end, over itself.
    drawn = [line.partition("node")[0] or line for line in seen(top)[: len(shown[top])]]
    assert plain(drawn) == plain(shown[top])


def _chat_as_shown(node: ClusterNode, terminal: Callable[..., Terminal], lines: list[str]) -> None:
    first = terminal(node, "chat", "lunch", on_terminal=True)
    first.until_line("joined")
    second = terminal(node, "chat", "lunch", on_terminal=True)
    first.until_line("JOIN")
    first.type("soup?\n")
    second.until_line("soup?")
    second.type("soup!\n")
    first.until_line("soup!")
    second.process.kill()
    first.until_line("PROCDOWN")
    assert plain(first.lines) == plain(lines)
    first.type("\x04")
    assert first.ended() == 0
