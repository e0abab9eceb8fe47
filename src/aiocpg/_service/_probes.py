"""
What a probe is answered, decided from a snapshot.

Ready is who should get requests now. Live is who can still become ready without being restarted: a connection that
comes back by itself is live while it is away, one that is over is not. So is a group that was left while the service
goes on, whoever left it: nothing joins it again, and who is live and never ready again would stay so for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import aiocpg

from ._joined import Joined

OK = 200
UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class Answer:
    """A status of HTTP and what to say with it, for JSON."""

    status: int
    body: dict[str, Any]


def readiness(service: Joined) -> Answer:
    """Whether requests should come here: the daemon answers, and every group has us as a member."""
    not_members = _groups_that_are_not(service, {"member"})
    return _answer("ready", [*_why_not_ready(service.connection), *not_members, *service.broken], service)


def liveness(service: Joined) -> Answer:
    """Whether a restart would be of no use: nothing is over for good, unless the service is ending anyhow."""
    # Closed is what this side has left or closed by itself, which is in order at the end and at no other time.
    closed = {"closed"} if service.is_ending else set()
    is_over = state_of(service.connection) not in {"open", "away", *closed}
    over = ["the connection is over"] if is_over else []
    not_in_order = _groups_that_are_not(service, {"member", "away", "leaving", *closed})
    return _answer("live", over or [*not_in_order, *service.broken], service)


def _why_not_ready(connection: aiocpg.Connection) -> Iterator[str]:
    health = connection.health
    if not health.is_connected:
        away = f"the daemon is away, for {health.away_for:.1f} s" if health.away_for else "the connection is over"
        yield away
    elif health.stalled_for:
        yield f"the daemon has not answered for {health.stalled_for:.1f} s"


def _groups_that_are_not(service: Joined, states: set[str]) -> Iterator[str]:
    for name, group in service.groups.items():
        if (state := state_of(group)) not in states:
            yield f"group {_shown(name)}: {state}"


def _answer(fact: str, reasons: list[str], service: Joined) -> Answer:
    body = {fact: not reasons, "reasons": reasons, "connection": _connection(service.connection)}
    body["groups"] = {
        _shown(name): {"state": state_of(group), "members": len(group.members)}
        for name, group in service.groups.items()
    }
    return Answer(UNAVAILABLE if reasons else OK, body)


def _connection(connection: aiocpg.Connection) -> dict[str, Any]:
    health = connection.health
    return {
        "node": connection.nodeid,
        "connected": health.is_connected,
        "away_for": round(health.away_for, 3),
        "stalled_for": round(health.stalled_for, 3),
        "reconnects": health.reconnects,
        "loop_lags": connection.lags,
        "ring": None if health.ring is None else {"id": str(health.ring.ring_id), "nodes": list(health.ring.nodes)},
    }


def state_of(held: aiocpg.Connection | aiocpg.Group) -> str:
    """How it is; of a connection that is the word that its ``repr`` ends with."""
    return held.state if isinstance(held, aiocpg.Group) else repr(held).rpartition(" ")[2].rstrip(">")


def _shown(name: bytes) -> str:
    return name.decode(errors="backslashreplace")
