"""``aiocpg doctor``: a line for what is well, and a cure for what is not."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

from aiocpg.testing import ClusterNode, CorosyncCluster
from cli.terminals import PATIENCE, PROGRAM, Terminal, records, run


def checks(lines: bytes) -> dict[str, dict[str, str]]:
    """The findings by what was looked at."""
    return {record["check"]: record for record in map(json.loads, lines.splitlines())}


def test_healthy_node_has_no_problem(node: ClusterNode) -> None:
    """The library and its file, the daemon, the ring, a message's round trip, the space."""
    done = run(node, "doctor")
    records(done)
    found = checks(done.stdout)
    states = {check: finding["state"] for check, finding in found.items()}
    assert states == dict.fromkeys(("libcpg", "version", "connection", "ring", "group", "quorum", "shm"), "ok")
    assert "/libcpg.so.4" in found["libcpg"]["text"]
    assert f"pid {node.pid}, uid 0" in found["connection"]["text"]
    assert found["ring"]["text"].endswith("nodes 1")
    assert found["quorum"]["text"] == "quorate, nodes 1"


def test_minority_and_missing_provider_are_told_with_the_cure() -> None:
    """A node of three that is alone has a problem; one that nobody decides for has none."""
    with CorosyncCluster() as cluster, CorosyncCluster(nodes=1, quorum=False) as alone:
        cluster.partition({1})
        cluster.node(1).wait_members(1)
        done = run(cluster.node(1), "doctor")
        minority = checks(done.stdout)["quorum"]
        nobody = checks(run(alone.node(1), "doctor").stdout)["quorum"]
    assert done.returncode == 1
    assert (minority["state"], nobody["state"]) == ("problem", "unknown")
    assert "corosync-quorumtool" in minority["cure"]
    assert "corosync_votequorum" in nobody["cure"]


def test_absent_daemon_is_told_with_the_cure() -> None:
    """A network of one's own has no daemon; status 1."""
    argv = ["unshare", "--net", *PROGRAM, "doctor"]
    done = subprocess.run(argv, capture_output=True, check=False, timeout=PATIENCE)
    assert done.returncode == 1, done.stderr
    found = checks(done.stdout)
    assert found["libcpg"]["state"] == "ok"
    assert found["connection"]["state"] == "problem"
    assert "systemctl start corosync" in found["connection"]["cure"]


def test_user_without_access_is_told_apart_from_an_absent_daemon(node: ClusterNode) -> None:
    """The daemon is there, and the cure is a file in uidgid.d."""
    # The capability lets it read the interpreter, wherever the tests are run from.
    rights = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    prefix = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", *rights]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with node.spawn([*prefix, *PROGRAM, "doctor"], **pipes) as process:
        out, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, error
    found = checks(out)
    assert found["daemon"]["state"] == "ok"
    assert "uid: 12345" in found["connection"]["cure"]


def test_terminal_gets_a_line_for_each(node: ClusterNode, terminal: Callable[..., Terminal]) -> None:
    """With the state in front."""
    doctor = terminal(node, "doctor", on_terminal=True)
    assert doctor.ended() == 0
    assert [line.split()[0] for line in doctor.lines] == ["ok"] * 7
