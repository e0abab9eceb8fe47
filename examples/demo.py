"""
The main job on a stage: three members of one group, and one of them killed in the middle.

The members are ``member.py``, three processes that know nothing of this one. This one starts them, prints what
``alice`` reads, kills ``carol`` with SIGKILL, and in the end compares what alice and bob have read. They meet at
``local://``, where nothing needs to be installed; with ``--cluster`` on a Corosync of three nodes, one on each. To them
that is another URL.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

Player: TypeAlias = subprocess.Popen[str]
Start: TypeAlias = Callable[[int, str], Player]
Story: TypeAlias = list[dict[str, Any]]

COLOURS = {"alice": "32", "bob": "36", "carol": "33", "news": "1"}
NAMES = ("alice", "bob", "carol")
LAST_WORDS = "carol says 4"
LIMIT = 120
"""Seconds after which something is wrong."""


def main(arguments: list[str]) -> None:
    """Show the play, then say whether the two who lived to the end of it saw the same."""
    stage = on_a_cluster if "--cluster" in arguments else on_this_host
    with time_limit(), stage() as start:
        players = {name: start(number, name) for number, name in enumerate(NAMES, 1)}
        alice = watch(players)
        bob = list(events(players["bob"]))
        statuses = [player.wait() for player in players.values()]
    if statuses != [0, 0, -signal.SIGKILL]:
        sys.exit(f"alice, bob and carol ended with {statuses}")
    print(paint("news", f"alice and bob read the same {compare(alice, bob)} events in the same order"))


@contextmanager
def on_this_host() -> Iterator[Start]:
    """Start members as processes of this user, in a world of their own."""
    url = f"local://demo-{os.getpid()}"
    print(f"Three processes are members of one group at {url}. This is what alice reads:", flush=True)

    def start(_number: int, name: str) -> Player:
        environment = os.environ | {"AIOCPG_URL": url}
        return subprocess.Popen(program(name), env=environment, stdout=subprocess.PIPE, text=True)

    yield start


@contextmanager
def on_a_cluster() -> Iterator[Start]:
    """Start members on a Corosync of three nodes."""
    from aiocpg.testing import CorosyncCluster  # noqa: PLC0415 - not there where it is not needed

    print("A Corosync of three nodes with a member of one group on each. This is what alice reads:", flush=True)
    with CorosyncCluster(nodes=len(NAMES)) as cluster:

        def start(number: int, name: str) -> Player:
            environment = os.environ | {"AIOCPG_URL": "corosync://"}
            return cluster.node(number).spawn(program(name), env=environment, stdout=subprocess.PIPE, text=True)

        yield start


def program(name: str) -> list[str | Path]:
    """Return what is run for a member."""
    return [sys.executable, Path(__file__).with_name("member.py"), name]


def watch(players: dict[str, Player]) -> Story:
    """Show what alice reads as she reads it, and kill carol on the way."""
    names = {str(player.pid): name for name, player in players.items()}
    story = []
    for event in events(players["alice"]):
        story.append(event)
        show(event, names)
        if event.get("message") == LAST_WORDS:
            print(paint("news", "        kill -9 carol"), flush=True)
            players["carol"].kill()
    return story


def events(player: Player) -> Iterator[dict[str, Any]]:
    """Read what a member reports until it ends."""
    assert player.stdout is not None
    with player.stdout as lines:
        yield from map(json.loads, lines)


def show(event: dict[str, Any], names: dict[str, str]) -> None:
    """Print one event: a message with its place in the order, a change with its reasons."""

    def name(address: str) -> str:
        return names[address.partition(":")[2]]

    if "message" in event:
        print(f"{event['position']:>6}  {paint(name(event['sender']), event['message'])}", flush=True)
        return
    changes = [f"{name(who)} joined ({why})" for who, why in event["joined"].items()]
    changes += [f"{name(who)} left ({why})" for who, why in event["left"].items()]
    members = ", ".join(map(name, event["members"])) or "nobody"
    print(f"  view  {paint('news', ', '.join(changes))}, now: {members}", flush=True)


def compare(alice: Story, bob: Story) -> int:
    """Return how many events both have read, from the first view of all three on until bob left."""
    hers, his = shared(alice), shared(bob)
    if not his or hers[: len(his)] != his:
        sys.exit(f"alice and bob read different things:\n{hers}\n{his}")
    return len(his)


def shared(story: Story) -> list[Any]:
    """Return what all must have alike: everything since all three were there, but the numbers that are one's own."""
    first = next(number for number, event in enumerate(story) if len(event.get("members", ())) == len(NAMES))
    return [{**event, "position": None, "joined": None} for event in story[first:]]


@contextmanager
def time_limit() -> Iterator[None]:
    """End a play that hangs, and its cluster with it."""

    def ring(signum: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"the demo did not end within {LIMIT} seconds")

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)


def paint(colour: str, text: str) -> str:
    """Colour a text where somebody can see it: on a terminal, unless NO_COLOR, or with CLICOLOR_FORCE."""
    forced = os.environ.get("CLICOLOR_FORCE", "0") != "0"
    if os.environ.get("NO_COLOR") or not (forced or sys.stdout.isatty()):
        return text
    return f"\033[{COLOURS[colour]}m{text}\033[0m"


if __name__ == "__main__":
    main(sys.argv[1:])
