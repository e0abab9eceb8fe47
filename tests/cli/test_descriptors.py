"""A program that is started without stdin, stdout or stderr says so, and writes into nothing else."""

from __future__ import annotations

import subprocess

import pytest

from aiocpg.testing import ClusterNode
from cli.terminals import PATIENCE, PROGRAM


@pytest.mark.parametrize(
    ("closed", "status", "complaint"),
    [
        ("<&-", 1, b"aiocpg: stdin: Bad file descriptor\n"),
        (">&-", 1, b"aiocpg: stdout: Bad file descriptor\n"),
        ("<&- >&-", 1, b"aiocpg: stdin: Bad file descriptor\n"),
        ("2>&-", 0, b""),
    ],
)
def test_closed_descriptor_is_told_and_nothing_else_takes_its_place(
    closed: str, status: int, complaint: bytes, node: ClusterNode
) -> None:
    """A record would else be written into what was opened next, maybe a socket of the engine's."""
    argv = ["sh", "-c", f'exec "$@" {closed}', "sh", *PROGRAM, "send", "closed"]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with node.spawn(argv, **pipes) as process:
        out, error = process.communicate(timeout=PATIENCE)
    assert (process.returncode, error) == (status, complaint)
    assert (out == b"") == (status == 1)


@pytest.mark.parametrize("streams", [">&-", "<&- >&- 2>&-"])
def test_nothing_is_lost_silently_without_stdout(streams: str, node: ClusterNode) -> None:
    """Also where the message needs no stdin."""
    argv = ["sh", "-c", f'exec "$@" {streams}', "sh", *PROGRAM, "send", "closed", "data"]
    with node.spawn(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        assert process.wait(PATIENCE) == 1
