"""``aiocpg doctor``: whether groups work here, and what to do when they do not."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import AsyncIterator

import anyio

from aiocpg import (
    Connection,
    ConnectionLostError,
    DaemonIdentity,
    EngineError,
    EngineUnavailableError,
    NoQuorumProvider,
    Quorum,
    QuorumState,
    QuorumUnknown,
    connect,
)

from . import _checks
from ._checks import Finding
from ._options import AsJson, Url
from ._output import Output
from ._records import Fact
from ._running import run
from ._status import Status

_PATIENCE = 5
"""Seconds that each step may take."""


def doctor(url: Url = None, as_json: AsJson = False) -> None:
    """
    Find out whether groups work here, and the cure.

    A line for each thing looked at. It connects, joins a group that nobody else is in, and sends a message to it.
    Status 1 when there is a problem.
    """

    async def examining(out: Output) -> int:
        has_problem = False
        async for finding in _findings(url):
            has_problem |= finding.state == "problem"
            await out.tell(_fact(finding))
        return Status.FAILED if has_problem else Status.DONE

    run(examining, as_json=as_json)


async def _findings(url: str | None) -> AsyncIterator[Finding]:
    # What is found is listed first: nothing may be handed out while the connection's block is open.
    chosen = url or "corosync://"
    opening = connect(chosen, connect_timeout=_PATIENCE)
    try:
        async with opening as cpg:
            inside = [_identity(chosen, cpg), await _ring(cpg), await _group(cpg)]
            if _is_corosync(chosen):
                inside.append(await _quorum(cpg))
    except EngineUnavailableError as error:
        inside = _refused(chosen, error)
    except EngineError as error:
        inside = [Finding("connection", "problem", str(error), "look at the daemon's log, and try again")]
    around = [_checks.libcpg(), await _checks.version()] if _is_corosync(chosen) else []
    behind = [_checks.shared_memory()] if _is_corosync(chosen) else []
    for finding in (*around, *inside, *behind):
        yield finding


def _is_corosync(url: str) -> bool:
    return url.startswith("corosync:")


def _identity(url: str, cpg: Connection) -> Finding:
    me = f"uid {os.geteuid()} and gid {os.getegid()} may connect, as node {cpg.nodeid}"
    daemon = cpg.daemon
    if daemon is None:
        return Finding("connection", "ok", f"{url} lies within a process and has no daemon, node {cpg.nodeid}")
    return Finding("connection", "ok", f"{_who(url, daemon)}; {me}")


def _who(url: str, daemon: DaemonIdentity) -> str:
    name = "corosync" if _is_corosync(url) else "the broker"
    return f"{name} runs as pid {daemon.pid}, uid {daemon.uid}"


def _refused(url: str, error: EngineUnavailableError) -> list[Finding]:
    """Which of the two it is: nobody there, or somebody who does not let us in."""
    if not _is_corosync(url) or not _checks.is_listening():
        return [Finding("connection", "problem", error.reason, error.cure)]
    daemon = Finding("daemon", "ok", "a process listens on corosync's socket")
    return [daemon, Finding("connection", "problem", error.reason, error.cure)]


async def _ring(cpg: Connection) -> Finding:
    with anyio.move_on_after(_PATIENCE):
        async with cpg.rings() as rings:
            async for ring in rings:
                return Finding("ring", "ok", f"{ring.ring_id}, nodes {' '.join(map(str, ring.nodes))}")
    cure = "the daemon may still be forming it: look at 'corosync-cfgtool -s' and at its log"
    return Finding("ring", "problem", f"no ring was told within {_PATIENCE} s", cure)


async def _group(cpg: Connection) -> Finding:
    """Send a message to ourselves through the order."""
    name = f"aiocpg.doctor.{os.getpid()}.{secrets.token_hex(4)}"
    with anyio.move_on_after(_PATIENCE):
        try:
            async with cpg.join(name, max_buffered_bytes=0) as group:
                began = time.perf_counter()
                await group.mcast_confirmed(b"aiocpg doctor")
                took = (time.perf_counter() - began) * 1000
        except EngineUnavailableError as error:
            return Finding("group", "problem", error.reason, error.cure)
        except ConnectionLostError as error:
            return Finding("group", "problem", str(error), "look at the daemon's log")
        return Finding("group", "ok", f"a message of ours came back in {took:.2f} ms")
    cure = "the cluster may be congested or forming a ring: try again, and look at the daemon's log"
    return Finding("group", "problem", f"no message came back within {_PATIENCE} s", cure)


async def _quorum(cpg: Connection) -> Finding:
    """Whether this node is with the majority."""
    with anyio.move_on_after(_PATIENCE):
        try:
            async with cpg.quorum() as quorum:
                return _judged(quorum.state)
        except EngineUnavailableError as error:
            return Finding("quorum", "problem", error.reason, error.cure)
        except ConnectionLostError as error:
            return Finding("quorum", "problem", str(error), "look at the daemon's log")
    return Finding("quorum", "problem", f"nothing was told within {_PATIENCE} s", "look at the daemon's log")


def _judged(state: QuorumState) -> Finding:
    match state:
        case Quorum(is_quorate=True, nodes=nodes):
            return Finding("quorum", "ok", f"quorate, nodes {' '.join(map(str, nodes))}")
        case NoQuorumProvider(reason=reason, cure=cure):
            return Finding("quorum", "unknown", f"{reason}, which groups do not need", cure)
        case QuorumUnknown(reason=reason):
            return Finding("quorum", "unknown", reason)
    cure = "groups work all the same, on the nodes of the ring; look at 'corosync-quorumtool -s' and at the other nodes"
    return Finding("quorum", "problem", "not quorate: this node is in a minority", cure)


_STYLES = {"ok": "green", "problem": "bold red", "unknown": "yellow"}


def _fact(finding: Finding) -> Fact:
    record = {"event": "check", **{key: value for key, value in finding._asdict().items() if value}}
    cure = (("\n           cure: ", "bold"), (finding.cure, "")) if finding.cure else ()
    state = (f"{finding.state:<8} ", _STYLES[finding.state])
    return Fact(record, (state, (f"{finding.check}: ", "bold"), (finding.text, ""), *cure))
