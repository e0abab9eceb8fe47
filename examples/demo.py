"""
The main job on a stage: a real Corosync of three nodes, a member on each, and one of them killed in the middle.

The members are ``member.py``, three processes that know nothing of this one. This one makes the cluster, prints
what ``alice`` reads, kills ``carol`` with SIGKILL, and in the end compares what alice and bob have read.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

from aiocpg.testing import CorosyncCluster

Story: TypeAlias = list[dict[str, Any]]

COLOURS = {"alice": "32", "bob": "36", "carol": "33", "news": "1"}
NAMES = ("alice", "bob", "carol")
LAST_WORDS = "carol says 4"
LIMIT = 120
"""Seconds after which something is wrong."""


def main() -> None:
    """Show the play, then say whether the two who lived to the end of it saw the same."""
    print("A Corosync of three nodes with a member of one group on each. This is what alice reads:", flush=True)
    with time_limit(), CorosyncCluster(nodes=len(NAMES)) as cluster:
        players = {name: start(cluster, nodeid, name) for nodeid, name in enumerate(NAMES, 1)}
        alice = watch(players)
        bob = list(events(players["bob"]))
        statuses = [player.wait() for player in players.values()]
    if statuses != [0, 0, -signal.SIGKILL]:
        sys.exit(f"alice, bob and carol ended with {statuses}")
    print(paint("news", f"alice and bob read the same {compare(alice, bob)} events in the same order"))


def watch(players: dict[str, subprocess.Popen[str]]) -> Story:
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


def start(cluster: CorosyncCluster, nodeid: int, name: str) -> subprocess.Popen[str]:
    """Start a member on a node."""
    program = Path(__file__).with_name("member.py")
    return cluster.node(nodeid).spawn([sys.executable, program, name], stdout=subprocess.PIPE, text=True)


def events(player: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
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
    main()
