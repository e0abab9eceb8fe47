"""What is typed while a cluster is up: its network is cut, and healed."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from aiocpg.testing import CorosyncCluster

WORDS = "type `cut NODE ...` or `heal`"
_STDIN = 0


def heed(cluster: CorosyncCluster) -> bool:
    """Do what is typed until the program ends; returns whether there is a terminal to type at."""
    if not os.isatty(_STDIN):
        return False
    threading.Thread(target=_read, args=(cluster,), daemon=True).start()
    return True


def _read(cluster: CorosyncCluster) -> None:
    # In the background the terminal is not ours: with the signal blocked, reading is an error and does not stop us.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTIN})
    while line := _line():
        if line.strip():
            typer.echo(obey(cluster, line), err=True)


def _line() -> str:
    """The next line typed, which the terminal hands over as a whole; empty when no more come."""
    try:
        return os.read(_STDIN, 4096).decode(errors="replace")
    except OSError:
        return ""


def obey(cluster: CorosyncCluster, line: str) -> str:
    """Do what a line says; returns what there is to say about it."""
    from aiocpg.testing import ClusterError  # noqa: PLC0415 - it takes longer to import than the rest of us

    try:
        match line.split():
            case ["heal"]:
                cluster.heal()
                return "healed: every node reaches every other"
            case ["cut", *words] if words and all(map(str.isdecimal, words)):
                return _cut(cluster, {int(word) for word in words})
    except (ValueError, ClusterError) as error:
        return f"aiocpg: {error}"
    return f"aiocpg: {WORDS}"


def _cut(cluster: CorosyncCluster, nodes: set[int]) -> str:
    cluster.partition(nodes)
    others = sorted({node.nodeid for node in cluster.nodes} - nodes)
    sides = [" ".join(map(str, side)) for side in (sorted(nodes), others)]
    return f"cut: {sides[0]} from {sides[1] or 'nobody'}"
