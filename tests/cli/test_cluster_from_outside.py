"""``aiocpg cluster up`` at a terminal: what is typed cuts and heals, and ports of the nodes are reached from here."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from aiocpg.cli import _typed
from aiocpg.testing import CorosyncCluster
from support.clusters_up import UP, cluster_up, free_ports

ECHO = """
import os, socket
server = socket.create_server(("0.0.0.0", {port}))
print("listening", flush=True)
while True:
    client, _ = server.accept()
    sent = b"".join(iter(lambda: client.recv(65536), b""))
    client.sendall(os.environb[b"AIOCPG_NODE"] + b":" + sent)
    client.close()
"""
"""Answers when it has read to the end, so an end must come through while the other way stays open."""


def test_each_node_is_reached_at_a_port_of_its_own() -> None:
    """All that is sent arrives, more than fits into buffers, the sender's end arrives, and the answer comes back."""
    port = free_ports(2)
    program = [sys.executable, "-c", ECHO.format(port=port)]
    sent = os.urandom(1 << 20)
    with cluster_up("-n", "2", "--port", str(port), "--", *program) as up:
        up.until_line(f"node 1 port {port}: 127.0.0.1:{port + 1}")
        for number in (1, 2):
            up.until_line(f"{number}: listening")
            assert _answer(port + number, sent) == b"%d:%s" % (number, sent)


def _answer(port: int, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_connection_to_a_port_that_nobody_listens_on_ends() -> None:
    """The client is not left waiting, and the next one is served."""
    port = free_ports(1)
    with cluster_up("-n", "1", "--port", str(port)) as up:
        up.until_line("all nodes are up")
        for _ in range(2):
            with (
                socket.create_connection(("127.0.0.1", port + 1), timeout=30) as client,
                pytest.raises(ConnectionError),
            ):
                if client.recv(1) == b"":
                    raise ConnectionAbortedError
        assert up.interrupted() == 0


def test_port_that_is_taken_is_told() -> None:
    """Which one, in a line, and nothing is left running."""
    port = free_ports(1)
    with socket.create_server(("127.0.0.1", port + 1)):
        argv = [*UP, "-n", "1", "--port", str(port)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == f"aiocpg: 127.0.0.1:{port + 1}: Address already in use\n"
    assert done.returncode == 127


def test_port_out_of_range_is_a_wrong_call() -> None:
    """The last node's would be none."""
    argv = [*UP, "-n", "3", "--port", "65533"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert "at most 65535" in " ".join(done.stderr.split())
    assert done.returncode == 2


def test_typed_lines_cut_and_heal(corosync_cluster: CorosyncCluster) -> None:
    """The rings follow, and what was done is said; what is not understood changes nothing."""
    cluster = corosync_cluster
    assert _typed.obey(cluster, "cut 3\n") == "cut: 3 from 1 2"
    cluster.wait_formed({1, 2}, {3})
    assert _typed.obey(cluster, "cut 9\n") == "aiocpg: there is no node 9: the cluster has 3 nodes, from 1"
    for line in ("cut", "cut x", "sever 2", "heal 3"):
        assert _typed.obey(cluster, line) == f"aiocpg: {_typed.WORDS}"
    cluster.wait_formed({1, 2}, {3})
    assert _typed.obey(cluster, " heal \n") == "healed: every node reaches every other"
    cluster.wait_formed()
    assert _typed.obey(cluster, "cut 1 2 3") == "cut: 1 2 3 from nobody"


def test_what_is_typed_is_done_while_a_command_runs() -> None:
    """The command has no input; the terminal is for the cluster, until Ctrl-C ends both."""
    with cluster_up("-n", "2", "--", sys.executable, "-m", "aiocpg", "rings", "--watch") as up:
        up.until_line("all nodes are up; Ctrl-C ends all, type")
        up.until_line(r"[12]: .*nodes.*1.*2", count=2)
        up.type("cut 2\n")
        up.until_line("cut: 2 from 1")
        up.until_line(r'1: .*"nodes": \[1\]')
        up.type("heal\n")
        up.until_line("healed: ")
        assert up.interrupted() == 0


def test_input_that_is_no_terminal_is_left_alone() -> None:
    """In a script it is the script's: what stands there is for whoever comes next."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cat:
        assert cat.stdin is not None
        cat.stdin.write(b"for the next one\n")
        cat.stdin.close()
        argv = [*UP, "-n", "1", "--", "true"]
        done = subprocess.run(argv, stdin=cat.stdout, capture_output=True, check=True, timeout=60)
        assert cat.stdout is not None
        assert cat.stdout.read() == b"for the next one\n"
    assert done.stderr == b""


def test_in_the_background_it_runs_on() -> None:
    """Reading a terminal where another job is in front would stop it; so it goes without what is typed."""
    script = 'set -m; "$@" & trap "kill $!" TERM; echo "job $!"; wait $!; echo "status $?"'
    with cluster_up("-n", "1", before=["bash", "-c", script, "bash"]) as up:
        job = int(up.until_line(r"job (\d+)")[1])
        up.until_line("all nodes are up")
        up.type("cut 1\n")
        os.kill(job, signal.SIGTERM)
        up.until_line("status 0")
        assert not [line for line in up.lines if line.startswith("cut: ")]
